package main

// #include "uplink.h"
import "C"

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"storj.io/common/encryption"
	"storj.io/common/grant"
	"storj.io/common/macaroon"
	"storj.io/common/paths"
	"storj.io/common/storj"
	"storj.io/uplink"
)

// facts are what a grant says of itself, without its secrets. Only the satellite knows whether
// its API key exists, and whether it was revoked.
type facts struct {
	SatelliteID      string `json:"satellite_id"`
	SatelliteAddress string `json:"satellite_address"`

	Download bool `json:"download"`
	Upload   bool `json:"upload"`
	List     bool `json:"list"`
	Delete   bool `json:"delete"`

	// Unix times and a span in seconds; null where there is no limit.
	NotBefore    *float64 `json:"not_before"`
	NotAfter     *float64 `json:"not_after"`
	MaxObjectTTL *float64 `json:"max_object_ttl"`

	// Where it reaches; null: everywhere in its project, []: nowhere.
	Places []place `json:"places"`

	// Whether objects' keys are encrypted everywhere it reaches.
	EncryptsKeys bool `json:"encrypts_keys"`

	// A hash of the API key, by which to know it again: a grant has many texts.
	KeyID string `json:"key_id"`
}

// place is a bucket, or a folder in one.
type place struct {
	Bucket string `json:"bucket"`
	// With a slash at its end, "" for the whole bucket; null when the grant has no key for it.
	Prefix *string `json:"prefix"`
}

// describe reads the caveats of a grant's API key; each narrows what those before left.
func describe(acc *uplink.Access) (described facts, err error) {
	text, err := acc.Serialize()
	if err != nil {
		return described, err
	}
	opened, err := grant.ParseAccess(text) // uplink keeps the parts to itself
	if err != nil {
		return described, err
	}
	satellite, err := storj.ParseNodeURL(opened.SatelliteAddress)
	if err != nil {
		return described, err
	}
	described = facts{
		SatelliteID: satellite.ID.String(), SatelliteAddress: satellite.Address,
		Download: true, Upload: true, List: true, Delete: true,
	}
	raw := opened.APIKey.SerializeRaw()
	digest := sha256.Sum256(raw)
	described.KeyID = hex.EncodeToString(digest[:])
	key, err := macaroon.ParseMacaroon(raw)
	if err != nil {
		return described, err
	}
	var groups [][]*macaroon.Caveat_Path
	for _, data := range key.Caveats() {
		caveat, err := macaroon.ParseCaveat(data)
		if err != nil {
			return described, fmt.Errorf("malformed caveat: %w", err)
		}
		described.narrow(caveat)
		if len(caveat.AllowedPaths) > 0 {
			groups = append(groups, caveat.AllowedPaths)
		}
	}
	described.Places = places(groups, opened.EncAccess.Store)
	described.EncryptsKeys = encryptsKeys(opened.EncAccess.Store)
	return described, nil
}

// encryptsKeys tells whether no key that is made with this grant is readable to the satellite.
func encryptsKeys(keys *encryption.Store) bool {
	encrypts := func(cipher storj.CipherSuite) bool {
		return cipher == storj.EncAESGCM || cipher == storj.EncSecretBox
	}
	every := keys.GetDefaultKey() == nil || encrypts(keys.GetDefaultPathCipher())
	_ = keys.IterateWithCipher(func(_ string, _ paths.Unencrypted, _ paths.Encrypted, _ storj.Key, cipher storj.CipherSuite) error {
		every = every && encrypts(cipher)
		return nil
	})
	return every
}

func (f *facts) narrow(caveat *macaroon.Caveat) {
	f.Download = f.Download && !caveat.DisallowReads
	f.Upload = f.Upload && !caveat.DisallowWrites
	f.List = f.List && !caveat.DisallowLists
	f.Delete = f.Delete && !caveat.DisallowDeletes
	if caveat.NotBefore != nil {
		since := unixSeconds(*caveat.NotBefore)
		if f.NotBefore == nil || *f.NotBefore < since {
			f.NotBefore = &since
		}
	}
	if caveat.NotAfter != nil {
		until := unixSeconds(*caveat.NotAfter)
		if f.NotAfter == nil || *f.NotAfter > until {
			f.NotAfter = &until
		}
	}
	if caveat.MaxObjectTtl != nil {
		span := caveat.MaxObjectTtl.Seconds()
		if f.MaxObjectTTL == nil || *f.MaxObjectTTL > span {
			f.MaxObjectTTL = &span
		}
	}
}

// unixSeconds does without UnixNano, which knows the years 1678 to 2262 only.
func unixSeconds(at time.Time) float64 {
	return float64(at.Unix()) + float64(at.Nanosecond())/float64(time.Second)
}

// places returns the paths that every group of allowed paths allows, as the satellite takes
// them (macaroon.Caveat.Allows): by the bytes they begin with.
func places(groups [][]*macaroon.Caveat_Path, keys *encryption.Store) []place {
	if len(groups) == 0 {
		return nil
	}
	allowed := []place{}
	seen := map[string]bool{}
	for _, group := range groups {
		for _, path := range group {
			name := string(path.Bucket) + "/" + string(path.EncryptedPathPrefix)
			if !seen[name] && allowedByAll(path, groups) {
				seen[name] = true
				allowed = append(allowed, place{string(path.Bucket), readable(path, keys)})
			}
		}
	}
	return allowed
}

func allowedByAll(path *macaroon.Caveat_Path, groups [][]*macaroon.Caveat_Path) bool {
	for _, group := range groups {
		if !slices.ContainsFunc(group, func(other *macaroon.Caveat_Path) bool {
			return bytes.Equal(path.Bucket, other.Bucket) &&
				bytes.HasPrefix(path.EncryptedPathPrefix, other.EncryptedPathPrefix)
		}) {
			return false
		}
	}
	return true
}

// readable returns a path's prefix, or nil when keys do not open it, or it is no text.
func readable(path *macaroon.Caveat_Path, keys *encryption.Store) *string {
	bucket, encrypted := string(path.Bucket), paths.NewEncrypted(string(path.EncryptedPathPrefix))
	if _, _, base := keys.LookupEncrypted(bucket, encrypted); base == nil {
		return nil
	}
	prefix := ""
	if len(path.EncryptedPathPrefix) > 0 {
		decrypted, err := encryption.DecryptPathWithStoreCipher(bucket, encrypted, keys)
		if err != nil || !utf8.ValidString(decrypted.Raw()) {
			return nil
		}
		prefix = decrypted.Raw() + "/"
	}
	return &prefix
}

// bridge_access_facts describes a grant as JSON.
//
//export bridge_access_facts
func bridge_access_facts(access *C.UplinkAccess) (result C.UplinkStringResult) {
	defer guard(&result.error)
	acc, err := heldAccess(access)
	if err != nil {
		return newStringResult("", err)
	}
	acc.RLock()
	defer acc.RUnlock()
	described, err := describe(acc.Access)
	if err != nil {
		return newStringResult("", coded{C.BRIDGE_ERROR_GRANT_INVALID, err})
	}
	text, err := json.Marshal(described)
	return newStringResult(string(text), err)
}

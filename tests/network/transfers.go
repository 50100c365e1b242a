package network

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"

	"storj.io/uplink"
)

// transferred says what went over the network.
type transferred struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// upload puts size pseudo-random bytes at the key, in a bucket that it makes if need be, as Storj's
// plain Go client does it.
func upload(ctx context.Context, c command) (_ *transferred, err error) {
	project, err := open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, project.Close()) }()
	if _, err := project.EnsureBucket(ctx, c.Bucket); err != nil {
		return nil, err
	}
	object, err := project.UploadObject(ctx, c.Bucket, c.Key, nil)
	if err != nil {
		return nil, err
	}
	digest := sha256.New()
	source := io.LimitReader(rand.NewChaCha8(sha256.Sum256([]byte(c.Key))), c.Size)
	size, err := io.Copy(io.MultiWriter(object, digest), source)
	if err != nil {
		return nil, errors.Join(err, object.Abort())
	}
	if err := object.Commit(); err != nil {
		return nil, err
	}
	return &transferred{Size: size, SHA256: hex.EncodeToString(digest.Sum(nil))}, nil
}

// download gets the object at the key.
func download(ctx context.Context, c command) (_ *transferred, err error) {
	project, err := open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, project.Close()) }()
	object, err := project.DownloadObject(ctx, c.Bucket, c.Key, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	digest := sha256.New()
	size, err := io.Copy(digest, object)
	if err != nil {
		return nil, err
	}
	return &transferred{Size: size, SHA256: hex.EncodeToString(digest.Sum(nil))}, nil
}

// open opens the project by its grant or, without one, by its API key and passphrase.
func open(ctx context.Context, c command) (*uplink.Project, error) {
	config := uplink.Config{UserAgent: c.UserAgent}
	var access *uplink.Access
	var err error
	if c.Grant != "" {
		access, err = uplink.ParseAccess(c.Grant)
	} else {
		access, err = config.RequestAccessWithPassphrase(ctx, c.Satellite, c.APIKey, c.Passphrase)
	}
	if err != nil {
		return nil, err
	}
	return config.OpenProject(ctx, access)
}

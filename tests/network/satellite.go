package network

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"go.uber.org/zap"

	"storj.io/common/encryption"
	"storj.io/common/grant"
	"storj.io/common/macaroon"
	"storj.io/common/pb"
	"storj.io/common/storj"
	"storj.io/common/uuid"
	"storj.io/storj/satellite/accounting/tally"
	"storj.io/storj/satellite/attribution"
	"storj.io/storj/satellite/console"
	"storj.io/storj/satellite/metabase"
	"storj.io/storj/satellite/overlay"
)

// satelliteURL names the satellite at its proxy's address.
func (n *network) satelliteURL() string {
	return storj.NodeURL{ID: n.satellite.ID(), Address: n.proxies[0].address}.String()
}

// announce makes the satellite know the nodes by their proxies' addresses. That is what their
// check-ins will say too; the first of them takes many seconds, for its attempt at QUIC.
func (n *network) announce(ctx context.Context) error {
	for i, node := range n.nodes {
		self := node.Contact.Service.Local()
		if want := n.proxies[1+i].address; self.Address != want {
			return fmt.Errorf("node%d says that it is at %s, not %s", i, self.Address, want)
		}
		_, _, lastNet, err := n.satellite.Overlay.Service.ResolveIPAndNetwork(ctx, self.Address)
		if err != nil {
			return err
		}
		err = n.satellite.DB.OverlayCache().UpdateCheckIn(ctx, overlay.NodeCheckInInfo{
			NodeID: node.ID(),
			Address: &pb.NodeAddress{
				Address: self.Address,
				NoiseInfo: &pb.NoiseInfo{
					Proto:     self.NoiseKeyAttestation.NoiseProto,
					PublicKey: self.NoiseKeyAttestation.NoisePublicKey,
				},
				DebounceLimit: int32(self.DebounceLimit),
			},
			IsUp: true, Version: &self.Version, Operator: &self.Operator, Capacity: &self.Capacity,
			LastNet: lastNet, LastIPPort: self.Address,
		}, time.Now(), n.satellite.Config.Overlay.Node)
		if err != nil {
			return err
		}
	}
	if err := n.satellite.Overlay.UploadSelectionCache.Refresh(ctx); err != nil {
		return err
	}
	return n.satellite.Overlay.DownloadSelectionCache.Refresh(ctx)
}

// project is one of its own, with everything allowed.
type project struct {
	ID         string `json:"id"`
	Satellite  string `json:"satellite"`
	APIKey     string `json:"api_key"`
	Passphrase string `json:"passphrase"`
	Grant      string `json:"grant"`
}

// newProject makes a project and the grant that the API key and the passphrase would give.
func (n *network) newProject(ctx context.Context) (*project, error) {
	secret := make([]byte, 16)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	passphrase := hex.EncodeToString(secret)
	made, err := n.satellite.AddProject(ctx, n.owner, "test")
	if err != nil {
		return nil, err
	}
	key, err := n.satellite.CreateAPIKey(ctx, made.ID, n.owner, macaroon.APIKeyVersionMin)
	if err != nil {
		return nil, err
	}
	salt, err := n.satellite.DB.Console().Projects().GetSalt(ctx, made.ID)
	if err != nil {
		return nil, err
	}
	root, err := encryption.DeriveRootKey([]byte(passphrase), salt, "", 8)
	if err != nil {
		return nil, err
	}
	access := grant.NewEncryptionAccessWithDefaultKey(root)
	access.SetDefaultPathCipher(storj.EncAESGCM)
	access.LimitTo(key)
	serialized, err := (&grant.Access{
		SatelliteAddress: n.satelliteURL(), APIKey: key, EncAccess: access,
	}).Serialize()
	if err != nil {
		return nil, err
	}
	return &project{
		ID: made.ID.String(), Satellite: n.satelliteURL(),
		APIKey: key.Serialize(), Passphrase: passphrase, Grant: serialized,
	}, nil
}

// setLimits gives the project exactly the limits of the command; without a value, the network's
// own, which no test reaches. It returns when they hold.
func (n *network) setLimits(ctx context.Context, c command) error {
	id, err := uuid.FromString(c.Project)
	if err != nil {
		return err
	}
	err = n.satellite.DB.Console().Projects().UpdateLimitsGeneric(ctx, id, []console.Limit{
		{Kind: console.RateLimit, Value: c.Rate},
		{Kind: console.StorageLimit, Value: c.Storage},
		{Kind: console.BandwidthLimit, Value: c.Bandwidth},
		{Kind: console.SegmentLimit, Value: c.Segments},
	})
	if err != nil {
		return err
	}
	time.Sleep(keyExpiry)
	n.satellite.Metainfo.Endpoint.TestingGetLimiterCache().Delete(ctx, id.String())
	return nil
}

// keepVersions turns versioning on for a bucket.
func (n *network) keepVersions(ctx context.Context, c command) error {
	id, err := uuid.FromString(c.Project)
	if err != nil {
		return err
	}
	return n.satellite.DB.Buckets().EnableBucketVersioning(ctx, []byte(c.Bucket), id)
}

// bucketState is what the satellite's databases say about a bucket; sizes are of ciphertext.
type bucketState struct {
	UserAgent   string `json:"user_agent"`  // of the bucket
	Attribution string `json:"attribution"` // the partner that its usage counts for
	Objects     int64  `json:"objects"`
	Pending     int64  `json:"pending"` // uploads begun and not committed
	Segments    int64  `json:"segments"`
	Bytes       int64  `json:"bytes"`
	Metadata    int64  `json:"metadata"` // bytes
}

// bucket runs the satellite's accounting of data at rest and returns what it says of one bucket.
func (n *network) bucket(ctx context.Context, c command) (*bucketState, error) {
	id, err := uuid.FromString(c.Project)
	if err != nil {
		return nil, err
	}
	made, err := n.satellite.DB.Buckets().GetBucket(ctx, []byte(c.Bucket), id)
	if err != nil {
		return nil, err
	}
	state := &bucketState{UserAgent: string(made.UserAgent)}
	switch partner, err := n.satellite.DB.Attribution().Get(ctx, id, []byte(c.Bucket)); {
	case err == nil:
		state.Attribution = string(partner.UserAgent)
	case !attribution.ErrBucketNotAttributed.Has(err):
		return nil, err
	}
	collector := tally.NewBucketTallyCollector(zap.NewNop(), time.Now(), n.satellite.Metabase.DB,
		n.satellite.DB.Buckets(), n.satellite.DB.ProjectAccounting(), nil, nil,
		n.satellite.Config.Tally)
	if err := collector.Run(ctx); err != nil {
		return nil, err
	}
	location := metabase.BucketLocation{ProjectID: id, BucketName: metabase.BucketName(c.Bucket)}
	if counted, found := collector.Bucket[location]; found {
		state.Objects = counted.ObjectCount
		state.Pending = counted.PendingObjectCount
		state.Segments = counted.TotalSegments
		state.Bytes = counted.TotalBytes
		state.Metadata = counted.MetadataSize
	}
	return state, nil
}

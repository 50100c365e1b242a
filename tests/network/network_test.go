// Package network is a real Storj network in one process, for tests and measurements: a satellite
// and four storage nodes, each behind a proxy that can delay, stall, cut and reset. It takes
// commands as lines of JSON on standard input and ends with it.
//
// It is a test only in form: Storj's own way to such a network, testplanet, wants a *testing.T.
package network

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"storj.io/common/memory"
	"storj.io/common/testcontext"
	"storj.io/storj/private/testplanet"
	"storj.io/storj/satellite"
	"storj.io/storj/satellite/satellitedb"
	"storj.io/storj/storagenode"
)

const (
	nodeCount = 4

	// nodeSpace is what a node offers; testplanet's 1 GB is soon full, as it reclaims nothing.
	nodeSpace = 30 * memory.GB

	// keyExpiry bounds how long the satellite keeps to the limits that it knows for an API key.
	keyExpiry = 250 * time.Millisecond

	// shutdownLimit bounds the time that everything has to end in good order.
	shutdownLimit = 20 * time.Second
)

var (
	directory        = flag.String("directory", "", "removed at the end; in its data, PostgreSQL")
	productionLimits = flag.Bool("production-limits", false, "limit requests as Storj's satellites do")
	answersTo        = flag.Uint("answers", 1, "file descriptor that answers are written to")
)

var (
	// commands is standard input behind the line that started the network.
	commands *bufio.Reader

	// answers is apart from standard output, which Go's test machinery and libraries write to.
	answers *os.File

	// orphaned is closed when the parent has ended.
	orphaned = make(chan struct{})
)

func TestMain(m *testing.M) {
	flag.Parse()
	answers = os.NewFile(uintptr(*answersTo), "answers")
	go endWithParent(os.Getppid())

	// Somebody watches over the directory from now on, so PostgreSQL may be started in it.
	fmt.Fprintln(answers, `{"watching":true}`)
	input := bufio.NewReader(os.Stdin)
	code := 0
	if line, err := input.ReadString('\n'); err == nil && strings.TrimSpace(line) == "start" {
		commands = input
		code = m.Run()
	}
	clean()
	os.Exit(code)
}

func TestNetwork(t *testing.T) {
	proxies := []*proxy{mustProxy(t, "satellite")}
	for i := range nodeCount {
		proxies = append(proxies, mustProxy(t, "node"+strconv.Itoa(i)))
	}
	testplanet.Run(t, testplanet.Config{
		SatelliteCount: 1, StorageNodeCount: nodeCount, UplinkCount: 1,
		NonParallel: true, Timeout: -1,
		Reconfigure: testplanet.Reconfigure{
			Satellite: configureSatellite,
			SatelliteDBOptions: func(_ *zap.Logger, _ int, options *satellitedb.Options) {
				options.APIKeysLRUOptions.Expiration = keyExpiry
			},
			StorageNode: func(index int, config *storagenode.Config) {
				configureNode(config, proxies[1+index].address)
			},
		},
	}, func(t *testing.T, ctx *testcontext.Context, planet *testplanet.Planet) {
		proxies[0].targetIs(planet.Satellites[0].Addr())
		for i, node := range planet.StorageNodes {
			proxies[1+i].targetIs(node.Addr())
		}
		n := &network{
			satellite: planet.Satellites[0], nodes: planet.StorageNodes,
			owner: planet.Uplinks[0].Projects[0].Owner.ID, proxies: proxies,
		}
		if err := n.announce(ctx); err != nil {
			t.Fatalf("the nodes are not known by their proxies: %+v", err)
		}
		ready, err := json.Marshal(map[string]any{"satellite": n.satelliteURL()})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(answers, string(ready))
		n.serve(ctx, commands, answers)
		for _, p := range proxies {
			p.cut() // peers wait for clients to end, and a stalled one would not
		}
		time.AfterFunc(shutdownLimit, func() {
			fmt.Fprintln(os.Stderr, "did not end in good order in", shutdownLimit)
			clean()
			os.Exit(1)
		})
	})
}

// emails makes a folder with the templates that a satellite cannot start without.
func emails() string {
	folder := filepath.Join(*directory, "emails")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		panic(err)
	}
	for _, name := range []string{"none.html", "none.txt"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			panic(err)
		}
	}
	return folder
}

func mustProxy(t *testing.T, name string) *proxy {
	p, err := newProxy(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// configureSatellite sets what differs between testplanet's satellite and Storj's, where a client
// can tell, and takes away what would get in the way of many tests on one network.
func configureSatellite(_ *zap.Logger, _ int, config *satellite.Config) {
	config.Server.UsePeerCAWhitelist = false // clients come with certificates of their own making
	config.Server.DisableQUIC = true         // the proxies carry TCP

	config.Metainfo.ProjectLimits.MaxBuckets = 10_000
	config.Console.UsageLimits.Storage.Free = 100 * memory.TB
	config.Console.UsageLimits.Bandwidth.Free = 100 * memory.TB
	config.Console.UsageLimits.Segment.Free = 100_000_000

	// Any 2 of 4 pieces give a segment, which is stored with 3; testplanet's own would be copies.
	config.Metainfo.RS.Min, config.Metainfo.RS.Repair = 2, 2
	config.Metainfo.RS.Success, config.Metainfo.RS.Total = 3, nodeCount

	config.Metainfo.MinPartSize = 5 * memory.MiB
	config.Metainfo.MaxCommitInterval = 48 * time.Hour
	config.Metainfo.RateLimiter.CacheExpiration = 10 * time.Minute // else a new burst every 10 s
	config.Metainfo.RateLimiter.CacheCapacity = 10_000
	if *productionLimits {
		config.Metainfo.RateLimiter.Rate = 100
		config.Metainfo.UploadLimiter.SingleObjectLimit = time.Second
	} else {
		config.Metainfo.RateLimiter.Rate = 1_000_000
		config.Metainfo.UploadLimiter.Enabled = false
		config.Metainfo.DownloadLimiter.Enabled = false
	}

	config.Mail.TemplatePath = emails() // testplanet's is where Storj's sources are

	// A node that was cut for minutes is a node of the network as soon as it is back.
	config.Overlay.Node.OnlineWindow = 4 * time.Hour
	config.Repairer.OnlineWindow = 4 * time.Hour
	// A node reports once an hour; testplanet's satellites disqualify it after some minutes.
	config.StrayNodes.EnableDQ = false
}

func configureNode(config *storagenode.Config, proxy string) {
	config.Server.UsePeerCAWhitelist = false
	config.Server.DisableQUIC = true
	config.Contact.ExternalAddress = proxy
	config.Contact.Interval = time.Hour // as on real nodes
	config.Storage.AllocatedDiskSpace = nodeSpace
	config.Storage2.MaxConcurrentRequests = 0 // no limit, as on real nodes
}

// endWithParent ends the process soon after its parent, whoever else holds our standard input.
func endWithParent(parent int) {
	for os.Getppid() == parent {
		time.Sleep(time.Second)
	}
	close(orphaned)
	time.Sleep(shutdownLimit)
	clean()
	os.Exit(1)
}

// clean ends PostgreSQL, where it still runs, and removes the directory.
func clean() {
	if *directory == "" {
		return
	}
	lock := filepath.Join(*directory, "data", "postmaster.pid")
	if text, err := os.ReadFile(lock); err == nil {
		first, _, _ := strings.Cut(string(text), "\n")
		if pid, err := strconv.Atoi(first); err == nil {
			_ = syscall.Kill(pid, syscall.SIGQUIT)
		}
		for range 100 { // it removes its lock last
			if _, err := os.Stat(lock); err != nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	_ = os.RemoveAll(*directory)
}

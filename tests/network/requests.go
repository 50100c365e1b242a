package network

import (
	"fmt"
	"strings"
	"time"

	"github.com/spacemonkeygo/monkit/v3"

	"storj.io/common/pb"
)

const (
	metainfoService = "/metainfo.Metainfo/"
	onTheWire       = "storj.io/common/rpc/rpctracing"
	inTheSatellite  = "storj.io/storj/satellite/metainfo"

	// settleLimit bounds the wait for calls that are under way; a stalled one may be for long.
	settleLimit = time.Second
)

// requests counts what clients asked of the satellite since its start.
type requests struct {
	// RoundTrips counts calls on the wire by their method, a batch as one.
	RoundTrips map[string]int64 `json:"round_trips"`

	// Operations counts by method what was asked, in batches or not.
	Operations map[string]int64 `json:"operations"`

	// Tokens is how many of the project's request rate that took.
	Tokens int64 `json:"tokens"`
}

// countRequests reads the satellite's own counters. Only clients call its metainfo service.
func countRequests() requests {
	settle()
	counted := requests{RoundTrips: map[string]int64{}, Operations: map[string]int64{}}
	eachFunc(onTheWire, func(f *monkit.Func) {
		if method, found := strings.CutPrefix(f.ShortName(), metainfoService); found {
			counted.RoundTrips[method] = calls(f)
		}
	})
	methods := methodsByFunc()
	eachFunc(inTheSatellite, func(f *monkit.Func) {
		name, found := strings.CutPrefix(f.ShortName(), "(*Endpoint).")
		if !found {
			return
		}
		if name == "checkRate" {
			counted.Tokens = calls(f)
		}
		if method := methods[name]; method != "" && !strings.HasSuffix(method, "Batch") {
			counted.Operations[method] = max(counted.Operations[method], calls(f))
		}
	})
	return counted
}

// methodsByFunc are the methods of the service by the functions of the satellite that do them. A
// batch may call the function behind a method, which bears its name in lower case.
func methodsByFunc() map[string]string {
	methods := map[string]string{}
	description := pb.DRPCMetainfoDescription{}
	for i := range description.NumMethods() {
		name, _, _, _, _ := description.Method(i)
		method := strings.TrimPrefix(name, metainfoService)
		methods[method] = method
		methods[strings.ToLower(method[:1])+method[1:]] = method
	}
	return methods
}

// done is how often the satellite has done what a method asks, in a batch or not. It is counted
// before the answer is sent.
func done(method string) (count int64, err error) {
	methods := methodsByFunc()
	if methods[method] != method {
		return 0, fmt.Errorf("no method %q", method)
	}
	eachFunc(inTheSatellite, func(f *monkit.Func) {
		if name, found := strings.CutPrefix(f.ShortName(), "(*Endpoint)."); found && methods[name] == method {
			count = max(count, f.Success())
		}
	})
	return count, nil
}

// settle waits for calls whose answer has been sent and which are not counted yet.
func settle() {
	for limit := time.Now().Add(settleLimit); time.Now().Before(limit); {
		var underWay int64
		eachFunc(onTheWire, func(f *monkit.Func) {
			if strings.HasPrefix(f.ShortName(), metainfoService) {
				underWay += f.Current()
			}
		})
		time.Sleep(time.Millisecond) // between a call's end and its count lies a moment
		if underWay == 0 {
			return
		}
	}
}

// eachFunc visits the functions of a package that are counted.
func eachFunc(pkg string, visit func(f *monkit.Func)) {
	monkit.Default.ScopeNamed(pkg).Funcs(visit)
}

// calls is how often a function was called.
func calls(f *monkit.Func) int64 {
	count := f.Success() + f.Panics() + f.Current()
	for _, failed := range f.Errors() {
		count += failed
	}
	return count
}

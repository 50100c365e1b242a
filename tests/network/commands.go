package network

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"storj.io/common/uuid"
	"storj.io/storj/private/testplanet"
)

// network is what commands work on.
type network struct {
	satellite *testplanet.Satellite
	nodes     []*testplanet.StorageNode
	owner     uuid.UUID
	proxies   []*proxy // the satellite's first, then the nodes' in their order
}

// command is one line of standard input. Each is answered by one line with its id, in the order in
// which they are done: a transfer does not hold up the next command.
type command struct {
	ID      int64    `json:"id"`
	Command string   `json:"command"`
	Peers   []string `json:"peers"` // of faults: "satellite", "node0" and so on
	DelayMS float64  `json:"delay_ms"`
	Method  string   `json:"method"` // of the satellite's metainfo service
	Times   int64    `json:"times"`
	Silent  bool     `json:"silent"`

	Project   string `json:"project"` // its id
	Bucket    string `json:"bucket"`
	Rate      *int64 `json:"rate"`
	Storage   *int64 `json:"storage"`
	Bandwidth *int64 `json:"bandwidth"`
	Segments  *int64 `json:"segments"`

	Grant      string `json:"grant"`
	Satellite  string `json:"satellite"` // this and the next two instead of a grant
	APIKey     string `json:"api_key"`
	Passphrase string `json:"passphrase"`
	Key        string `json:"key"`
	Size       int64  `json:"size"`
	UserAgent  string `json:"user_agent"`
}

type answer struct {
	ID     int64  `json:"id"`
	Answer any    `json:"answer,omitempty"`
	Error  string `json:"error,omitempty"`
}

// serve does what commands say, until they end or the parent has ended.
func (n *network) serve(ctx context.Context, commands *bufio.Reader, answers *os.File) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		for {
			line, err := commands.ReadBytes('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	var mu sync.Mutex
	for {
		select {
		case <-orphaned:
			return
		case line, more := <-lines:
			if !more {
				return
			}
			go func() {
				reply := n.reply(ctx, line)
				mu.Lock()
				defer mu.Unlock()
				_, _ = answers.Write(append(reply, '\n'))
			}()
		}
	}
}

func (n *network) reply(ctx context.Context, line []byte) []byte {
	var c command
	err := json.Unmarshal(line, &c)
	var result any
	if err == nil {
		result, err = n.do(ctx, c)
	}
	a := answer{ID: c.ID, Answer: result}
	if err != nil {
		a = answer{ID: c.ID, Error: err.Error()}
	}
	text, err := json.Marshal(a)
	if err != nil {
		text, _ = json.Marshal(answer{ID: c.ID, Error: err.Error()})
	}
	return text
}

func (n *network) do(ctx context.Context, c command) (any, error) {
	switch c.Command {
	case "delay", "stall", "cut", "reset", "restore":
		return n.fault(c)
	case "lose":
		return true, n.loseAnswers(c)
	case "proxies":
		states := make([]proxyState, len(n.proxies))
		for i, p := range n.proxies {
			states[i] = p.state()
		}
		return states, nil
	case "requests":
		return countRequests(), nil
	case "project":
		return n.newProject(ctx)
	case "limits":
		return true, n.setLimits(ctx, c)
	case "bucket":
		return n.bucket(ctx, c)
	case "versions":
		return true, n.keepVersions(ctx, c)
	case "upload":
		return upload(ctx, c)
	case "download":
		return download(ctx, c)
	}
	return nil, fmt.Errorf("no command %q", c.Command)
}

// fault does a fault to the proxies of the peers that the command names.
func (n *network) fault(c command) (any, error) {
	var chosen []*proxy
	for _, name := range c.Peers {
		i := slices.IndexFunc(n.proxies, func(p *proxy) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no peer %q", name)
		}
		chosen = append(chosen, n.proxies[i])
	}
	if len(chosen) == 0 {
		return nil, errors.New("no peers named")
	}
	ended := 0
	for _, p := range chosen {
		switch c.Command {
		case "delay":
			p.slow(time.Duration(c.DelayMS * float64(time.Millisecond)))
		case "stall":
			p.stall()
		case "cut":
			ended += p.cut()
		case "reset":
			ended += p.reset()
		case "restore":
			if err := p.restore(); err != nil {
				return nil, err
			}
		}
	}
	return map[string]int{"ended": ended}, nil
}

// loseAnswers makes the satellite's answers to the next calls of a method be lost, after the
// satellite has done what they ask. Nobody else may use the network meanwhile: what is lost is the
// next answer to anybody.
func (n *network) loseAnswers(c command) error {
	before, err := done(c.Method)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var lost int64
	n.proxies[0].lose(func() bool {
		mu.Lock()
		defer mu.Unlock()
		now, _ := done(c.Method)
		if lost >= c.Times || now-before <= lost {
			return false
		}
		lost++
		return true
	}, c.Silent)
	return nil
}

package main

import (
	"context"
	"fmt"
	"io"
	"sync"

	"storj.io/uplink/private/metaclient"
	"storj.io/uplink/private/storage/streams"
	"storj.io/uplink/private/stream"
)

const (
	// spanSize is how long the spans are that are read at the same time. Each costs a request to the
	// satellite. Segments are a multiple, so that no span lies in two of them.
	spanSize = 8 << 20
	// spansFrom is the shortest download that is read in spans.
	spansFrom = 3 * spanSize
	// spansEach is how many spans one download reads ahead, at most.
	spansEach = 4
	// spansInAll is how many all downloads read ahead together: so much memory they take.
	spansInAll = 16
	// spanEarned is how much must have been taken for each span that is read ahead: of a file whose
	// beginning alone is wanted, the rest is not paid for.
	spanEarned = 2 << 20
)

var (
	// spanTurns holds one value for each span that is read ahead or held.
	spanTurns   = make(chan struct{}, spansInAll)
	spanBuffers = sync.Pool{New: func() any { return new([spanSize]byte) }}
)

// aheadReader reads a long range of an object by several streams at the same time. A node sends
// no more than two orders' worth before it has seen the next order, so that one stream is as slow
// as the way to the nodes is long.
type aheadReader struct {
	// open begins a stream.
	open   func(start, length int64) io.ReadCloser
	cancel context.CancelFunc
	// current is the stream that is read without a span, of which left bytes are to come.
	current io.ReadCloser
	left    int64
	// spans are those being read ahead, in order.
	spans []*span
	// next is where the next span begins, and end where the last one ends.
	next, end int64
	taken     int64
}

func newAheadReader(ctx context.Context, info metaclient.DownloadInfo, store *streams.Store, start, length int64) *aheadReader {
	ctx, cancel := context.WithCancel(ctx)
	r := &aheadReader{cancel: cancel, next: start, end: start + length}
	r.open = func(start, length int64) io.ReadCloser {
		opened := stream.NewDownloadRange(ctx, info, store, start, length)
		info.DownloadedSegments = nil // orders that came with the object serve once
		return opened
	}
	r.current, r.left = r.advance(), r.next-start
	return r
}

// advance opens the span that comes next.
func (r *aheadReader) advance() io.ReadCloser {
	start := r.next
	r.next = min(start-start%spanSize+spanSize, r.end)
	return r.open(start, r.next-start)
}

func (r *aheadReader) Read(data []byte) (count int, err error) {
	if r.left == 0 && len(r.spans) == 0 {
		if r.next == r.end {
			return 0, io.EOF
		}
		// Other downloads hold all turns.
		_ = r.current.Close() // it was read to its end
		start := r.next
		r.current = r.advance()
		r.left = r.next - start
	}
	if r.left > 0 {
		count, err = r.current.Read(data[:min(int64(len(data)), r.left)])
		r.left -= int64(count)
	} else {
		first := r.spans[0]
		count, err = first.take(data)
		if first.taken == first.length {
			r.spans = r.spans[1:]
			first.release()
		}
	}
	r.taken += int64(count)
	if err == nil {
		r.readAhead()
	}
	return count, err
}

// readAhead begins the spans that have been earned, as long as there are turns.
func (r *aheadReader) readAhead() {
	for int64(len(r.spans)) < min(spansEach, r.taken/spanEarned) && r.next < r.end {
		select {
		case spanTurns <- struct{}{}:
		default:
			return
		}
		start := r.next
		begun := newSpan(r.advance())
		begun.length = int(r.next - start)
		r.spans = append(r.spans, begun)
		go begun.fill()
	}
}

// Close ends all streams. No other call may be running.
func (r *aheadReader) Close() error {
	r.cancel()
	err := r.current.Close()
	for _, begun := range r.spans {
		begun.release()
	}
	return err
}

// span is a part of an object being read into memory.
type span struct {
	stream io.ReadCloser
	buffer *[spanSize]byte
	length int
	// taken is how much of it has been given out; only the taker uses it.
	taken int

	mutex sync.Mutex
	// changed tells of what follows.
	changed sync.Cond
	filled  int
	over    bool
	err     error
}

func newSpan(stream io.ReadCloser) *span {
	s := &span{stream: stream, buffer: spanBuffers.Get().(*[spanSize]byte)}
	s.changed.L = &s.mutex
	return s
}

// fill reads the span's stream to its end.
func (s *span) fill() {
	filled, err := 0, error(nil)
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic: %v", reason)
		}
		s.mutex.Lock()
		s.over, s.err = true, err
		s.mutex.Unlock()
		s.changed.Broadcast()
	}()
	for filled < s.length && err == nil {
		var count int
		count, err = s.stream.Read(s.buffer[filled:s.length])
		filled += count
		s.mutex.Lock()
		s.filled = filled
		s.mutex.Unlock()
		s.changed.Broadcast()
	}
	if err == io.EOF && filled < s.length {
		err = io.ErrUnexpectedEOF
	}
	_ = s.stream.Close() // what was read was read
}

// take gives out what has come, or waits for it.
func (s *span) take(data []byte) (count int, err error) {
	s.mutex.Lock()
	for s.filled == s.taken && !s.over {
		s.changed.Wait()
	}
	filled, err := s.filled, s.err
	s.mutex.Unlock()
	if filled == s.taken {
		return 0, err
	}
	count = copy(data, s.buffer[s.taken:filled])
	s.taken += count
	return count, nil
}

// release waits for the end of fill, and gives back buffer and turn.
func (s *span) release() {
	s.mutex.Lock()
	for !s.over {
		s.changed.Wait()
	}
	s.mutex.Unlock()
	spanBuffers.Put(s.buffer)
	<-spanTurns
}

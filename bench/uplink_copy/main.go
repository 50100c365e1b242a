// Command uplink-copy puts an object from memory and gets it back by Storj's plain Go client, with
// nothing in between: the most that a server on Storj could reach. One line of JSON tells of each
// transfer.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"storj.io/uplink"
)

const (
	sourceSize = 64 << 20
	blockSize  = 1 << 20
)

// figures say what a transfer took, of all of this process; peak is of resident memory, in bytes.
type figures struct {
	Transfer string  `json:"transfer"`
	Seconds  float64 `json:"seconds"`
	CPU      float64 `json:"cpu"`
	Peak     int64   `json:"peak"`
}

// source is random bytes, repeated from its end on.
type source []byte

// at is what stands at an offset of the endless content, at most a block of it.
func (s source) at(offset, left int64) []byte {
	start := offset % int64(len(s))
	return s[start:min(start+blockSize, start+left, int64(len(s)))]
}

func main() {
	log.SetFlags(0)
	grantFile := flag.String("grant-file", "", "the file with the access grant")
	bucket := flag.String("bucket", "", "made if it is missing")
	size := flag.Int64("size", 0, "bytes of the object")
	warmUp := flag.Int64("warm-up", 0, "bytes of an object put and got before")
	flag.Parse()
	if err := run(context.Background(), *grantFile, *bucket, *warmUp, *size); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, grantFile, bucket string, warmUp, size int64) (err error) {
	text, err := os.ReadFile(grantFile)
	if err != nil {
		return err
	}
	access, err := uplink.ParseAccess(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	project, err := uplink.OpenProject(ctx, access)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, project.Close()) }()
	if _, err := project.EnsureBucket(ctx, bucket); err != nil {
		return err
	}
	content := make(source, min(sourceSize, max(size, warmUp)))
	if _, err := rand.Read(content); err != nil {
		return err
	}
	if err := put(ctx, project, bucket, "warm-up", content, warmUp); err != nil {
		return err
	}
	if err := get(ctx, project, bucket, "warm-up", content, warmUp); err != nil {
		return err
	}
	err = measured("put", func() error { return put(ctx, project, bucket, "large", content, size) })
	if err != nil {
		return err
	}
	return measured("get", func() error { return get(ctx, project, bucket, "large", content, size) })
}

func put(
	ctx context.Context, project *uplink.Project, bucket, key string, content source, size int64,
) error {
	upload, err := project.UploadObject(ctx, bucket, key, nil)
	if err != nil {
		return err
	}
	for sent := int64(0); sent < size; {
		n, err := upload.Write(content.at(sent, size-sent))
		if err != nil {
			return errors.Join(err, upload.Abort())
		}
		sent += int64(n)
	}
	return upload.Commit()
}

// get compares every byte with what put sent.
func get(
	ctx context.Context, project *uplink.Project, bucket, key string, content source, size int64,
) (err error) {
	download, err := project.DownloadObject(ctx, bucket, key, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, download.Close()) }()
	block := make([]byte, blockSize)
	for got := int64(0); ; {
		n, err := download.Read(block)
		for part := block[:n]; len(part) > 0; {
			want := content.at(got, int64(len(part)))
			if got+int64(len(want)) > size || !bytes.Equal(part[:len(want)], want) {
				return fmt.Errorf("wrong content after byte %d", got)
			}
			part, got = part[len(want):], got+int64(len(want))
		}
		if errors.Is(err, io.EOF) && got == size {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d of %d bytes: %w", got, size, err)
		}
	}
}

func measured(transfer string, do func() error) error {
	// Forgets the peak of resident memory so far: proc(5), clear_refs.
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return err
	}
	cpu, start := processorTime(), time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", transfer, err)
	}
	took := figures{Transfer: transfer, Seconds: time.Since(start).Seconds()}
	took.CPU = processorTime() - cpu
	var err error
	if took.Peak, err = peak(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(took)
}

// processorTime is in seconds.
func processorTime() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // it takes nothing that could be wrong
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func peak() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		return 0, errors.New("no VmHWM in /proc/self/status")
	}
	kilobytes, err := strconv.ParseInt(string(found[1]), 10, 64)
	return kilobytes * 1024, err
}

// franz-go in the common harness: the same command line, phases and result line as the Rust peers.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const version = "1.22.2"

type settings struct {
	bootstrap, topic, payloads, compression, mode, ack, api       string
	partitions, recordSize, keys, headers, assign, tasks, threads int
	lingerMs, batchSize, bufferMemory, inFlight, rate, tickUs     int
	records, warmup, spanMs                                       int
	allocations                                                   bool
}

type load struct {
	values, keys [][]byte
	headers      []kgo.RecordHeader
	assign       int
}

type phase struct {
	Records        int   `json:"records"`
	Acked          int64 `json:"acked"`
	WallUs         int64 `json:"wall_us"`
	UserUs         int64 `json:"user_us"`
	SystemUs       int64 `json:"system_us"`
	Voluntary      int64 `json:"voluntary"`
	Involuntary    int64 `json:"involuntary"`
	Allocations    int64 `json:"allocations"`
	AllocatedBytes int64 `json:"allocated_bytes"`
}

func read() *settings {
	s := &settings{}
	flag.StringVar(&s.bootstrap, "bootstrap", "", "")
	flag.StringVar(&s.topic, "topic", "", "")
	flag.IntVar(&s.partitions, "partitions", 1, "")
	flag.IntVar(&s.records, "records", 0, "")
	flag.IntVar(&s.warmup, "warmup", 0, "")
	flag.IntVar(&s.spanMs, "span-ms", 0, "")
	flag.StringVar(&s.payloads, "payloads", "", "")
	flag.IntVar(&s.recordSize, "record-size", 0, "")
	flag.IntVar(&s.keys, "keys", 0, "")
	flag.IntVar(&s.headers, "headers", 0, "")
	flag.IntVar(&s.assign, "assign", 0, "")
	flag.StringVar(&s.compression, "compression", "none", "")
	flag.IntVar(&s.tasks, "tasks", 1, "")
	flag.IntVar(&s.threads, "threads", 1, "")
	flag.IntVar(&s.lingerMs, "linger-ms", 5, "")
	flag.IntVar(&s.batchSize, "batch-size", 65536, "")
	flag.IntVar(&s.bufferMemory, "buffer-memory", 64<<20, "")
	flag.IntVar(&s.inFlight, "in-flight", 5, "")
	flag.IntVar(&s.rate, "rate", 0, "")
	flag.IntVar(&s.tickUs, "tick-us", 1000, "")
	flag.StringVar(&s.mode, "mode", "common", "")
	flag.StringVar(&s.ack, "ack", "flush", "")
	flag.StringVar(&s.api, "api", "", "")
	flag.BoolVar(&s.allocations, "allocations", false, "")
	flag.Parse()
	return s
}

func (s *settings) load() (*load, error) {
	file, err := os.ReadFile(s.payloads)
	if err != nil {
		return nil, err
	}
	l := &load{assign: s.assign}
	for at := 0; at+s.recordSize <= len(file); at += s.recordSize {
		l.values = append(l.values, append([]byte(nil), file[at:at+s.recordSize]...))
	}
	if n := len(l.values); n == 0 || n&(n-1) != 0 {
		return nil, fmt.Errorf("%s does not hold a power of two of records", s.payloads)
	}
	for key := 0; key < s.keys; key++ {
		l.keys = append(l.keys, []byte(fmt.Sprintf("key-%08d", key)))
	}
	for i := 0; i < s.headers; i++ {
		l.headers = append(l.headers, kgo.RecordHeader{Key: fmt.Sprintf("header-%d", i), Value: []byte(fmt.Sprintf("value-of-%d", i))})
	}
	return l, nil
}

// fill makes record number out of r.
func (l *load) fill(r *kgo.Record, number int) {
	r.Value = l.values[number&(len(l.values)-1)]
	if len(l.keys) > 0 {
		r.Key = l.keys[number&(len(l.keys)-1)]
	}
	r.Headers = l.headers
	if l.assign > 0 {
		r.Partition = int32(number % l.assign)
	}
}

// stickyBytes is what its default partitioner is told, so that it goes on to another partition when a batch is full: it
// counts records without their length and in full, and a batch's header not at all. With 64 KiB it begins a second batch
// with what the first one had no room for, and leaves it nearly empty.
func (s *settings) stickyBytes(l *load) int {
	value, key := len(l.values[0]), 0
	if len(l.keys) > 0 {
		key = len(l.keys[0])
	}
	counted := 4 + prefixed(value) + key
	for _, header := range l.headers {
		counted += prefixed(len(header.Key)) + prefixed(len(header.Value))
	}
	const header = 61
	// In the batch: the record's length, and an offset of a byte more.
	records := max(1, (s.batchSize-header)/prefixed(counted+1))
	return records*counted + 1
}

// prefixed is so many bytes and their length, a zigzag varint, before them.
func prefixed(bytes int) int {
	return bytes + (bits.Len(uint(bytes<<1|1))+6)/7
}

func connect(s *settings, l *load) (*kgo.Client, error) {
	codec := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[s.compression]
	if s.mode != "best" && s.compression == "gzip" {
		// What everybody else takes by default; its own default is 5.
		codec = codec.WithLevel(6)
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(s.bootstrap, ",")...),
		kgo.DefaultProduceTopic(s.topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.MaxBufferedRecords(1 << 24),
		kgo.MaxBufferedBytes(s.bufferMemory),
		kgo.ProducerBatchCompression(codec),
	}
	if s.mode == "best" {
		// Its defaults: batches of about 1 MB and 10 ms of linger.
		options = append(options, kgo.ProducerLinger(10*time.Millisecond))
	} else {
		options = append(options,
			kgo.ProducerLinger(time.Duration(s.lingerMs)*time.Millisecond),
			kgo.ProducerBatchMaxBytes(int32(max(s.batchSize, s.recordSize+1024))),
			kgo.RecordPartitioner(kgo.UniformBytesPartitioner(s.stickyBytes(l), true, true, nil)))
	}
	if s.assign > 0 {
		options = append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	// With idempotence the client itself takes 5 requests in flight as its most; fewer can be asked for.
	if s.inFlight < 5 {
		options = append(options, kgo.MaxProduceRequestsInflightPerBroker(s.inFlight))
	}
	return kgo.NewClient(options...)
}

var failed atomic.Int64
var firstError atomic.Value

func note(err error) {
	if err != nil {
		failed.Add(1)
		firstError.CompareAndSwap(nil, err.Error())
	}
}

var acked atomic.Int64

// counted is the promise of every record that is not timed: one function, so that a record costs no closure.
func counted(_ *kgo.Record, err error) {
	note(err)
	if err == nil {
		acked.Add(1)
	}
}

func send(client *kgo.Client, s *settings, l *load, records int) (int64, error) {
	before := acked.Load()
	var tasks sync.WaitGroup
	for task := 0; task < s.tasks; task++ {
		tasks.Add(1)
		go func() {
			defer tasks.Done()
			ctx := context.Background()
			for number := task * records / s.tasks; number < (task+1)*records/s.tasks; number++ {
				r := &kgo.Record{}
				l.fill(r, number)
				client.Produce(ctx, r, counted)
			}
		}()
	}
	tasks.Wait()
	if err := client.Flush(context.Background()); err != nil {
		return 0, err
	}
	if n := failed.Load(); n > 0 {
		return 0, fmt.Errorf("%d records failed: %v", n, firstError.Load())
	}
	if got := acked.Load() - before; got != int64(records) {
		return 0, fmt.Errorf("%d of %d records were acknowledged", got, records)
	}
	return int64(records), nil
}

// paced sends by the clock, on a thread of its own; latencies count from when a record was due.
func paced(client *kgo.Client, s *settings, l *load) (int64, map[string]any, error) {
	tick := time.Duration(s.tickUs) * time.Microsecond
	perTick := s.rate * s.tickUs / 1_000_000
	if perTick == 0 {
		return 0, nil, fmt.Errorf("--rate is below one record a tick")
	}
	micros := make([]uint32, s.records)
	start := time.Now().Add(20 * time.Millisecond)
	before := acked.Load()
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		ctx := context.Background()
		for number := 0; number < s.records; number++ {
			due := start.Add(tick * time.Duration(number/perTick))
			if number%perTick == 0 {
				// A sleep of the thread, because the runtime's own rounds up to a millisecond.
				if wait := time.Until(due); wait > 0 {
					request := syscall.NsecToTimespec(int64(wait))
					syscall.Nanosleep(&request, nil)
				}
			}
			r := &kgo.Record{}
			l.fill(r, number)
			client.Produce(ctx, r, func(_ *kgo.Record, err error) {
				micros[number] = uint32(max(1, time.Since(due).Microseconds()))
				counted(nil, err)
			})
		}
	}()
	<-done
	if err := client.Flush(context.Background()); err != nil {
		return 0, nil, err
	}
	if n := failed.Load(); n > 0 {
		return 0, nil, fmt.Errorf("%d records failed: %v", n, firstError.Load())
	}
	sort.Slice(micros, func(a, b int) bool { return micros[a] < micros[b] })
	at := func(share float64) uint32 { return micros[int(float64(len(micros)-1)*share)] }
	var curve [][2]float64
	for _, share := range []float64{0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1} {
		curve = append(curve, [2]float64{share, float64(at(share))})
	}
	return acked.Load() - before, map[string]any{"p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999), "max_us": at(1), "curve": curve}, nil
}

// warmUp sends what is not measured, in the way that is: flat out a client may take more memory than at a rate.
func warmUp(client *kgo.Client, s *settings, l *load) error {
	if s.rate == 0 {
		_, err := send(client, s, l, s.warmup)
		return err
	}
	alike := *s
	alike.records = s.warmup
	_, _, err := paced(client, &alike, l)
	return err
}

// more is how many records to measure instead of so many, if twice as many more took so long of what they are to take;
// 0 if they are enough.
func more(records int, taken, part time.Duration) int {
	const most, enough = 4, 1.5
	times := part.Seconds() / max(taken.Seconds(), 1e-6)
	if times <= enough {
		return 0
	}
	return int(float64(records) * min(times, most))
}

type reading struct {
	at    time.Time
	usage syscall.Rusage
	mem   runtime.MemStats
}

func now(s *settings) (r reading) {
	if s.allocations {
		runtime.ReadMemStats(&r.mem)
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &r.usage)
	r.at = time.Now()
	return
}

func (r *reading) since(s *settings, records int, acked int64) phase {
	end := now(s)
	us := func(t syscall.Timeval) int64 { return t.Sec*1_000_000 + t.Usec }
	return phase{
		Records: records, Acked: acked,
		WallUs:      end.at.Sub(r.at).Microseconds(),
		UserUs:      us(end.usage.Utime) - us(r.usage.Utime),
		SystemUs:    us(end.usage.Stime) - us(r.usage.Stime),
		Voluntary:   end.usage.Nvcsw - r.usage.Nvcsw,
		Involuntary: end.usage.Nivcsw - r.usage.Nivcsw,
		Allocations: int64(end.mem.Mallocs - r.mem.Mallocs), AllocatedBytes: int64(end.mem.TotalAlloc - r.mem.TotalAlloc),
	}
}

// peakKib is the most memory that this program has held. Where Linux does not say that, getrusage does, which says no
// less than what the process held before it became this program.
func peakKib() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib
		}
	}
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Maxrss
}

func run() error {
	s := read()
	l, err := s.load()
	if err != nil {
		return err
	}
	client, err := connect(s, l)
	if err != nil {
		return err
	}
	defer client.Close()
	if s.warmup > 0 {
		if err := warmUp(client, s, l); err != nil {
			return err
		}
	}
	warmup := s.warmup
	var phases []phase
	var latency map[string]any
	if s.rate > 0 {
		before := now(s)
		acked, curve, err := paced(client, s, l)
		if err != nil {
			return err
		}
		phases = append(phases, before.since(s, s.records, acked))
		latency = curve
	} else {
		for records := s.records; records > 0; {
			var taken [2]time.Duration
			phases = nil
			for at, records := range []int{records, 3 * records} {
				before := now(s)
				acked, err := send(client, s, l, records)
				if err != nil {
					return err
				}
				taken[at] = time.Since(before.at)
				phases = append(phases, before.since(s, records, acked))
			}
			// Not how long a phase takes: a client may wait before it sends, or to see that all is delivered.
			longer := more(records, taken[1]-taken[0], time.Duration(s.spanMs)*time.Millisecond/2)
			if longer > 0 {
				warmup += 4 * records
			}
			records = longer
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"peer": "franz-go", "version": version, "note": nil, "warmup": warmup, "phases": phases, "latency": latency,
		"peak_kib": peakKib(), "counted": s.allocations,
	})
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "franz-go:", err)
		os.Exit(1)
	}
}

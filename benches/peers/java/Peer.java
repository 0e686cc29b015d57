// The Java producer in the common harness: the same command line, phases and result line as the Rust peers.

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

public final class Peer {
    private static final int WINDOW = 65_536;
    private static final Map<String, String> SETTINGS = new HashMap<>();
    private static byte[][] values;
    private static byte[][] keys;
    private static List<Header> headers;
    private static int assign;
    private static String topic;
    private static KafkaProducer<byte[], byte[]> producer;
    private static final AtomicLong acked = new AtomicLong();
    private static final AtomicLong failed = new AtomicLong();
    private static final AtomicReference<Exception> firstError = new AtomicReference<>();
    private static final Callback COUNT = (metadata, error) -> finish(error);

    private static void finish(Exception error) {
        if (error == null) {
            acked.incrementAndGet();
        } else {
            failed.incrementAndGet();
            firstError.compareAndSet(null, error);
        }
    }

    private static String text(String name, String otherwise) {
        return SETTINGS.getOrDefault(name, otherwise);
    }

    private static int number(String name, int otherwise) {
        return Integer.parseInt(text(name, Integer.toString(otherwise)));
    }

    public static void main(String[] arguments) throws Exception {
        for (int at = 0; at < arguments.length; at++) {
            String name = arguments[at].substring(2);
            SETTINGS.put(name, name.equals("allocations") ? "true" : arguments[++at]);
        }
        load();
        connect();
        int records = number("records", 0);
        long warmup = warmUp(number("warmup", 0), number("warmup-ms", 0));
        StringBuilder phases = new StringBuilder();
        String latency = "null";
        if (number("rate", 0) > 0) {
            Reading before = new Reading();
            latency = paced(records);
            phases.append(before.phase(records));
        } else {
            while (records > 0) {
                phases.setLength(0);
                long[] taken = new long[2];
                for (int at = 0; at < 2; at++) {
                    int count = at == 0 ? records : 3 * records;
                    Reading before = new Reading();
                    long begun = System.nanoTime();
                    send(count);
                    taken[at] = System.nanoTime() - begun;
                    phases.append(at == 0 ? "" : ",").append(before.phase(count));
                }
                // Not how long a phase takes: a client may wait before it sends, or to see that all is delivered.
                int longer = more(records, taken[1] - taken[0], number("span-ms", 0) * 1e6 / 2);
                if (longer > 0) {
                    warmup += 4L * records;
                }
                records = longer;
            }
        }
        System.out.printf(
            "{\"peer\":\"java\",\"version\":\"%s\",\"note\":\"Java %s\",\"warmup\":%d,\"phases\":[%s],"
                + "\"latency\":%s,\"peak_kib\":%d,\"counted\":false}%n",
            AppInfoParser.getVersion(), System.getProperty("java.version"), warmup, phases, latency,
            status("VmHWM"));
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    /**
     * Sends so many records again and again for so long: it is compiled meanwhile. Once at least, unless that takes
     * twice as long.
     */
    private static long warmUp(int records, int millis) throws Exception {
        int piece = Math.max(records / 16, 1);
        long begun = System.nanoTime();
        long sent = 0;
        long taken = 0;
        while (records > 0 && (taken < millis || sent < records) && (millis == 0 || taken < 2L * millis)) {
            send(piece);
            sent += piece;
            taken = (System.nanoTime() - begun) / 1_000_000;
        }
        return sent;
    }

    /**
     * How many records to measure instead of so many, if twice as many more took so long of what they are to take; 0 if
     * they are enough.
     */
    private static int more(int records, double taken, double part) {
        final double most = 4;
        final double enough = 1.5;
        double times = part / Math.max(taken, 1000);
        return times <= enough ? 0 : (int) (records * Math.min(times, most));
    }

    private static void load() throws Exception {
        byte[] file = Files.readAllBytes(Path.of(text("payloads", "")));
        int size = number("record-size", 0);
        values = new byte[file.length / size][];
        for (int at = 0; at < values.length; at++) {
            values[at] = Arrays.copyOfRange(file, at * size, (at + 1) * size);
        }
        keys = new byte[number("keys", 0)][];
        for (int key = 0; key < keys.length; key++) {
            keys[key] = String.format("key-%08d", key).getBytes(StandardCharsets.UTF_8);
        }
        Header[] made = new Header[number("headers", 0)];
        for (int at = 0; at < made.length; at++) {
            made[at] = new RecordHeader("header-" + at, ("value-of-" + at).getBytes(StandardCharsets.UTF_8));
        }
        headers = List.of(made);
        assign = number("assign", 0);
        topic = text("topic", "");
    }

    private static void connect() {
        // For throughput Kafka's documentation advises larger batches and a longer linger.
        boolean best = text("mode", "common").equals("best");
        Properties properties = new Properties();
        properties.put("bootstrap.servers", text("bootstrap", ""));
        properties.put("acks", "all");
        properties.put("enable.idempotence", "true");
        properties.put("linger.ms", best ? "10" : text("linger-ms", "5"));
        properties.put("batch.size", best ? "200000" : text("batch-size", "65536"));
        properties.put("buffer.memory", text("buffer-memory", Integer.toString(64 << 20)));
        properties.put("max.request.size", Integer.toString(8 << 20));
        properties.put("max.in.flight.requests.per.connection", text("in-flight", "5"));
        properties.put("compression.type", text("compression", "none"));
        properties.put("enable.metrics.push", "false");
        producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
        producer.partitionsFor(topic);
    }

    private static ProducerRecord<byte[], byte[]> record(int number) {
        byte[] value = values[number & (values.length - 1)];
        byte[] key = keys.length == 0 ? null : keys[number & (keys.length - 1)];
        Integer partition = assign == 0 ? null : number % assign;
        return new ProducerRecord<>(topic, partition, null, key, value, headers.isEmpty() ? null : headers);
    }

    private static void send(int records) throws Exception {
        int tasks = number("tasks", 1);
        boolean each = text("ack", "flush").equals("each");
        long before = acked.get();
        Thread[] running = new Thread[tasks];
        for (int task = 0; task < tasks; task++) {
            int from = (int) ((long) task * records / tasks);
            int to = (int) ((long) (task + 1) * records / tasks);
            running[task] = new Thread(() -> run(from, to, each));
            running[task].start();
        }
        for (Thread task : running) {
            task.join();
        }
        producer.flush();
        if (failed.get() > 0) {
            throw new IllegalStateException(failed.get() + " records failed", firstError.get());
        }
        if (acked.get() - before != records) {
            throw new IllegalStateException((acked.get() - before) + " of " + records + " were acknowledged");
        }
    }

    private static void run(int from, int to, boolean each) {
        ArrayDeque<Future<RecordMetadata>> pending = new ArrayDeque<>();
        try {
            for (int at = from; at < to; at++) {
                Future<RecordMetadata> sent = producer.send(record(at), COUNT);
                if (each) {
                    pending.add(sent);
                    if (pending.size() > WINDOW) {
                        pending.poll().get();
                    }
                }
            }
            for (Future<RecordMetadata> sent : pending) {
                sent.get();
            }
        } catch (Exception error) {
            finish(error);
        }
    }

    /** Sends by the clock, on a thread of its own; latencies count from when a record was due. */
    private static String paced(int records) throws Exception {
        long tick = number("tick-us", 1000) * 1000L;
        int perTick = (int) (number("rate", 0) * tick / 1_000_000_000L);
        int[] micros = new int[records];
        long start = System.nanoTime() + 20_000_000L;
        Thread pacer = new Thread(() -> {
            for (int at = 0; at < records; at++) {
                int index = at;
                long due = start + tick * (at / perTick);
                if (at % perTick == 0) {
                    for (long wait = due - System.nanoTime(); wait > 0; wait = due - System.nanoTime()) {
                        LockSupport.parkNanos(wait);
                    }
                }
                producer.send(record(at), (metadata, error) -> {
                    micros[index] = (int) Math.max(1, (System.nanoTime() - due) / 1000);
                    finish(error);
                });
            }
        });
        pacer.start();
        pacer.join();
        producer.flush();
        if (failed.get() > 0) {
            throw new IllegalStateException(failed.get() + " records failed", firstError.get());
        }
        Arrays.sort(micros);
        StringBuilder curve = new StringBuilder();
        for (double share : new double[] {0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1}) {
            curve.append(curve.length() == 0 ? "" : ",").append("[" + share + "," + at(micros, share) + "]");
        }
        return String.format("{\"p50_us\":%d,\"p99_us\":%d,\"p999_us\":%d,\"max_us\":%d,\"curve\":[%s]}",
            at(micros, 0.5), at(micros, 0.99), at(micros, 0.999), at(micros, 1), curve);
    }

    private static int at(int[] sorted, double share) {
        return sorted[(int) ((sorted.length - 1) * share)];
    }

    private static long status(String field) throws Exception {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith(field + ":")) {
                return Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        return 0;
    }

    /** What the process has used so far. */
    private static final class Reading {
        private final long acknowledged = acked.get();
        private final long at = System.nanoTime();
        private final long cpu = cpu();
        private final long[] ticks = ticks();
        private final long[] switches = switches();

        private Reading() throws Exception {
        }

        private static long cpu() {
            return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
        }

        /** User and system time; coarse, so that only their ratio is used. */
        private static long[] ticks() throws Exception {
            String stat = Files.readString(Path.of("/proc/self/stat"));
            String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
            return new long[] {Long.parseLong(fields[11]), Long.parseLong(fields[12])};
        }

        private static long[] switches() throws Exception {
            long[] sum = new long[2];
            try (DirectoryStream<Path> tasks = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
                for (Path task : tasks) {
                    List<String> lines;
                    try {
                        lines = Files.readAllLines(task.resolve("status"));
                    } catch (IOException ended) {
                        continue;
                    }
                    for (String line : lines) {
                        int which = line.startsWith("voluntary") ? 0 : line.startsWith("nonvoluntary") ? 1 : -1;
                        if (which >= 0) {
                            sum[which] += Long.parseLong(line.replaceAll("[^0-9]", ""));
                        }
                    }
                }
            }
            return sum;
        }

        private String phase(int records) throws Exception {
            long wall = System.nanoTime() - at;
            long used = (cpu() - cpu) / 1000;
            long[] ticksNow = ticks();
            long[] switchesNow = switches();
            long user = ticksNow[0] - ticks[0];
            long system = ticksNow[1] - ticks[1];
            long userUs = user + system == 0 ? used : used * user / (user + system);
            return String.format(
                "{\"records\":%d,\"acked\":%d,\"wall_us\":%d,\"user_us\":%d,\"system_us\":%d,\"voluntary\":%d,"
                    + "\"involuntary\":%d,\"allocations\":0,\"allocated_bytes\":0}",
                records, acked.get() - acknowledged, wall / 1000, userUs, used - userUs,
                Math.max(0, switchesNow[0] - switches[0]), Math.max(0, switchesNow[1] - switches[1]));
        }
    }
}

// Writes batches with Kafka's own client classes, and reads batches with them. Run by tests/java.rs:
//
//   java -cp 'libs/*' RecordFixtures.java write DIR   writes NAME.bin, and NAME.txt, which says what is in it
//   java -cp 'libs/*' RecordFixtures.java read DIR    reads every *.bin, and writes *.read.txt, the same way
//
// The classes are internal to kafka-clients and have moved between versions: these are those of 4.3.

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32C;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;

public final class RecordFixtures {
    private static final Header[] NONE = {};

    public static void main(String[] arguments) throws IOException {
        Path dir = Path.of(arguments[1]);
        switch (arguments[0]) {
            case "write" -> writeAll(dir);
            case "read" -> readAll(dir);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void writeAll(Path dir) throws IOException {
        Map<String, Compression> compressions = new LinkedHashMap<>();
        compressions.put("none", Compression.NONE);
        compressions.put("gzip", Compression.gzip().build());
        compressions.put("gzip-1", Compression.gzip().level(1).build());
        compressions.put("snappy", Compression.snappy().build());
        compressions.put("lz4", Compression.lz4().build());
        compressions.put("lz4-17", Compression.lz4().level(17).build());
        compressions.put("zstd", Compression.zstd().build());
        compressions.put("zstd-19", Compression.zstd().level(19).build());
        compressions.put("zstd-minus-5", Compression.zstd().level(-5).build());
        for (Map.Entry<String, Compression> entry : compressions.entrySet()) {
            byte[] bytes = write(entry.getValue());
            Files.write(dir.resolve(entry.getKey() + ".bin"), bytes);
            Files.writeString(dir.resolve(entry.getKey() + ".txt"), describe(bytes));
        }
    }

    private static byte[] write(Compression compression) {
        ByteBuffer out = ByteBuffer.allocate(1 << 20);
        append(out, everyShape(compression));
        append(out, idempotent(compression));
        append(out, logAppendTime(compression));
        if (compression == Compression.NONE) {
            append(out, marker());
        } else {
            append(out, large(compression));
        }
        return Arrays.copyOf(out.array(), out.position());
    }

    /** Null, empty and full; headers in order and twice; a timestamp before the first. */
    private static MemoryRecords everyShape(Compression compression) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(
            ByteBuffer.allocate(1024), compression, TimestampType.CREATE_TIME, 100L);
        Header[] headers = {
            new RecordHeader("a", bytes("1")),
            new RecordHeader("b", (byte[]) null),
            new RecordHeader("a", bytes("")),
            new RecordHeader("", bytes("no key")),
            new RecordHeader("schlüssel", bytes("ü")),
        };
        builder.append(1_700_000_000_000L, bytes("key"), bytes("value"), headers);
        builder.append(1_699_999_999_000L, (byte[]) null, (byte[]) null, NONE);
        builder.append(1_700_000_090_000L, bytes(""), bytes(""), NONE);
        builder.append(1_700_000_000_000L, (byte[]) null, bytes("v".repeat(63)), NONE);
        builder.append(1_700_000_000_000L, bytes("k".repeat(64)), null, headers);
        return builder.build();
    }

    private static MemoryRecords idempotent(Compression compression) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(
            ByteBuffer.allocate(1024), RecordBatch.CURRENT_MAGIC_VALUE, compression,
            TimestampType.CREATE_TIME, 105L, RecordBatch.NO_TIMESTAMP, 4711L, (short) 3,
            Integer.MAX_VALUE - 1, true, 9);
        for (int i = 0; i < 40; i++) {
            builder.append(i, bytes("key-" + i % 7), bytes("{\"number\":" + i + "}"), NONE);
        }
        return builder.build();
    }

    private static MemoryRecords logAppendTime(Compression compression) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(
            ByteBuffer.allocate(1024), RecordBatch.CURRENT_MAGIC_VALUE, compression,
            TimestampType.LOG_APPEND_TIME, 145L, 1_800_000_000_000L);
        builder.append(5L, bytes("a"), bytes("b"), NONE);
        builder.append(6L, bytes("c"), bytes("d"), NONE);
        return builder.build();
    }

    /** Larger than any block or chunk, and some of it that does not shrink. */
    private static MemoryRecords large(Compression compression) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(
            ByteBuffer.allocate(1024), compression, TimestampType.CREATE_TIME, 147L);
        byte[] noise = new byte[3000];
        new Random(1).nextBytes(noise);
        builder.append(1L, null, noise, NONE);
        builder.append(2L, null, bytes("0123456789".repeat(20_000)), NONE);
        builder.append(3L, null, noise, NONE);
        return builder.build();
    }

    private static MemoryRecords marker() {
        return MemoryRecords.withEndTransactionMarker(
            147L, 77L, 5, 4711L, (short) 3, new EndTransactionMarker(ControlRecordType.COMMIT, 2));
    }

    private static void append(ByteBuffer out, MemoryRecords records) {
        out.put(records.buffer().duplicate());
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static void readAll(Path dir) throws IOException {
        List<Path> files;
        try (var list = Files.list(dir)) {
            files = list.filter(file -> file.toString().endsWith(".bin")).sorted().toList();
        }
        for (Path file : files) {
            String name = file.getFileName().toString().replace(".bin", ".read.txt");
            Files.writeString(dir.resolve(name), describe(Files.readAllBytes(file)));
        }
    }

    private static String describe(byte[] bytes) {
        StringBuilder out = new StringBuilder();
        int read = 0;
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches()) {
            batch.ensureValid();
            read += batch.sizeInBytes();
            out.append("batch ").append(batch.baseOffset()).append(' ').append(batch.lastOffset())
                .append(' ').append(batch.countOrNull()).append(' ').append(batch.compressionType().name)
                .append(' ').append(batch.producerId()).append(' ').append(batch.producerEpoch())
                .append(' ').append(batch.baseSequence()).append(' ').append(batch.lastSequence())
                .append(' ').append(batch.isTransactional()).append(' ').append(batch.isControlBatch())
                .append(' ').append(batch.timestampType() == TimestampType.LOG_APPEND_TIME)
                .append(' ').append(batch.maxTimestamp()).append('\n');
            for (Record record : batch) {
                out.append("record ").append(record.offset()).append(' ').append(record.timestamp())
                    .append(' ').append(show(record.hasKey() ? array(record.key()) : null))
                    .append(' ').append(show(record.hasValue() ? array(record.value()) : null));
                for (Header header : record.headers()) {
                    out.append(' ').append(show(bytes(header.key()))).append('=').append(show(header.value()));
                }
                out.append('\n');
            }
        }
        out.append("bytes ").append(read).append(" of ").append(bytes.length).append('\n');
        return out.toString();
    }

    private static byte[] array(ByteBuffer buffer) {
        byte[] array = new byte[buffer.remaining()];
        buffer.get(array);
        return array;
    }

    /** "-" for null, hexadecimal after an "x", or length and CRC-32C if it is long. */
    private static String show(byte[] bytes) {
        if (bytes == null) {
            return "-";
        }
        if (bytes.length > 64) {
            CRC32C crc = new CRC32C();
            crc.update(bytes);
            return bytes.length + ":" + String.format("%08x", crc.getValue());
        }
        StringBuilder out = new StringBuilder("x");
        for (byte each : bytes) {
            out.append(String.format("%02x", each));
        }
        return out.toString();
    }
}

// Writes the fixtures of `tests/bytes.rs`: for every message, version and variant the bytes that
// Kafka's own classes write. The values follow from the place of a field alone, so that the test
// can make the same bytes from the facts. Run it (Java 17 or later) with kafka-clients and slf4j-api:
//
//   mvn -B dependency:get -Dartifact=org.apache.kafka:kafka-clients:4.3.1
//   M=~/.m2/repository/org
//   java -cp $M/apache/kafka/kafka-clients/4.3.1/kafka-clients-4.3.1.jar:$M/slf4j/slf4j-api/1.7.36/slf4j-api-1.7.36.jar \
//     crates/milena-wire/tests/java/Bytes.java > crates/milena-wire/tests/fixtures/kafka-4.3.1.txt

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;

import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.CompactArrayOf;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.utils.ByteUtils;

public class Bytes {
    static final int[] KEYS = {0, 1, 2, 3, 9, 10, 17, 18, 19, 20, 22, 24, 25, 26, 28, 32, 36, 37, 61, 65, 71, 72};

    /** 0: everything is there, arrays have two elements. 1: null where it may be, false. 2: empty. */
    final int variant;
    final ByteBuffer out;
    long count = 0;

    Bytes(int variant, ByteBuffer out) {
        this.variant = variant;
        this.out = out;
    }

    public static void main(String[] arguments) throws Exception {
        for (int key : KEYS) {
            ApiMessageType api = ApiMessageType.fromApiKey((short) key);
            for (short version = api.lowestSupportedVersion(); version <= api.highestSupportedVersion(true); version++) {
                for (int variant = 0; variant < 3; variant++) {
                    write(api.name, "Request", api.newRequest(), api.requestSchemas()[version], version, variant);
                    write(api.name, "Response", api.newResponse(), api.responseSchemas()[version], version, variant);
                }
            }
        }
    }

    static void write(String api, String kind, Message message, Schema schema, short version, int variant) {
        ByteBuffer made = ByteBuffer.allocate(1 << 20);
        new Bytes(variant, made).struct(schema);
        made.flip();
        byte[] bytes = Arrays.copyOf(made.array(), made.limit());
        message.read(new ByteBufferAccessor(ByteBuffer.wrap(bytes)), version);
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer written = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(written), cache, version);
        String text = HexFormat.of().formatHex(written.array());
        if (!Arrays.equals(bytes, written.array())) {
            throw new IllegalStateException(api + kind + " v" + version + " reads as " + message
                + "\n" + HexFormat.of().formatHex(bytes) + "\n" + text);
        }
        System.out.println(api + kind + " " + version + " " + variant + " " + text);
    }

    void struct(Schema schema) {
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields tags) {
                tagged(tags);
            } else {
                value(field.def.type);
            }
        }
    }

    /** Tagged fields are there in variant 0 only: a default is never written. */
    void tagged(TaggedFields tags) {
        if (variant != 0) {
            ByteUtils.writeUnsignedVarint(0, out);
            return;
        }
        ByteUtils.writeUnsignedVarint(tags.fields().size(), out);
        for (var entry : tags.fields().entrySet()) {
            Field field = entry.getValue();
            Bytes body = new Bytes(variant, ByteBuffer.allocate(1 << 20));
            body.count = count;
            body.value(field.type);
            count = body.count;
            body.out.flip();
            ByteUtils.writeUnsignedVarint(entry.getKey(), out);
            ByteUtils.writeUnsignedVarint(body.out.limit(), out);
            out.put(body.out);
        }
    }

    void value(Type type) {
        String name = type.toString();
        if (type.isArray()) {
            boolean compact = type instanceof CompactArrayOf;
            if (type.isNullable() && variant == 1) {
                length(compact, 4, -1);
                return;
            }
            int elements = 2 - variant;
            length(compact, 4, elements);
            for (int element = 0; element < elements; element++) {
                value(type.arrayElementType().get());
            }
        } else if (type instanceof Schema schema) {
            struct(schema);
        } else if (name.contains("STRING") || name.contains("BYTES") || name.contains("RECORDS")) {
            boolean compact = name.startsWith("COMPACT");
            int width = name.contains("STRING") ? 2 : 4;
            if (type.isNullable() && variant == 1) {
                length(compact, width, -1);
                return;
            }
            String text = variant == 2 ? "" : "v" + ++count;
            length(compact, width, text.length());
            out.put(text.getBytes(StandardCharsets.UTF_8));
        } else {
            fixed(name);
        }
    }

    void fixed(String name) {
        count++;
        switch (name) {
            case "BOOLEAN" -> out.put((byte) (variant == 0 ? 1 : 0));
            case "INT8" -> out.put((byte) (1 + count % 100));
            case "INT16", "UINT16" -> out.putShort((short) (1000 + count));
            case "INT32", "UINT32" -> out.putInt((int) (100_000 + count));
            case "INT64" -> out.putLong(10_000_000_000L + count);
            case "FLOAT64" -> out.putDouble(count + 0.5);
            case "UUID" -> out.putLong(count).putLong(count);
            default -> throw new IllegalStateException("type " + name);
        }
    }

    void length(boolean compact, int width, int length) {
        if (compact) {
            ByteUtils.writeUnsignedVarint(length + 1, out);
        } else if (width == 4) {
            out.putInt(length);
        } else {
            out.putShort((short) length);
        }
    }
}

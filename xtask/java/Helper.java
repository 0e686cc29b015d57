// Kafka's own clients behind simple lines, for the tests against a real Kafka.
//
// A command is one line of words divided by tabs; the answer is any number of lines, then "ok", or "error" and why.
// The end of the input ends the process.

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.Supplier;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Helper {
    private static final long PATIENCE_MS = 60_000;

    private final String servers;
    private final Admin admin;
    private final PrintStream out;

    private Helper(String servers, PrintStream out) {
        this.servers = servers;
        this.out = out;
        Properties properties = new Properties();
        properties.put("bootstrap.servers", servers);
        admin = Admin.create(properties);
    }

    public static void main(String[] arguments) throws IOException {
        // Answers go to the real standard output; whatever else prints goes to the log.
        PrintStream out = new PrintStream(
            new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 16), false, StandardCharsets.UTF_8);
        System.setOut(System.err);
        Helper helper = new Helper(arguments[0], out);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            try {
                helper.answer(line.split("\t", -1));
                out.println("ok");
            } catch (ExecutionException error) {
                out.println("error\t" + String.valueOf(error.getCause()).replace('\n', ' '));
            } catch (Exception error) {
                error.printStackTrace();
                out.println("error\t" + error.toString().replace('\n', ' '));
            }
            out.flush();
        }
        helper.admin.close(Duration.ofSeconds(1));
        System.exit(0);
    }

    private void answer(String[] words) throws Exception {
        switch (words[0]) {
            case "create": create(words); break;
            case "delete": delete(words[1]); break;
            case "grow": grow(words[1], Integer.parseInt(words[2])); break;
            case "leaders": leaders(words[1]); break;
            case "move": move(words[1], Integer.parseInt(words[2]), Integer.parseInt(words[3])); break;
            case "ends": ends(words[1]); break;
            case "read": read(words[1], words[2]); break;
            case "produce": produce(words); break;
            case "producers": producers(words[1], Integer.parseInt(words[2])); break;
            default: throw new IllegalArgumentException("there is no command " + words[0]);
        }
    }

    // create <topic> <partitions> <replicas> [key=value]...
    private void create(String[] words) throws Exception {
        int partitions = Integer.parseInt(words[2]);
        Map<String, String> configs = new HashMap<>();
        for (String word : Arrays.copyOfRange(words, 4, words.length)) {
            String[] pair = word.split("=", 2);
            configs.put(pair[0], pair[1]);
        }
        NewTopic topic = new NewTopic(words[1], partitions, Short.parseShort(words[3])).configs(configs);
        admin.createTopics(Set.of(topic)).all().get();
        awaitTopic(words[1], partitions);
    }

    private void delete(String topic) throws Exception {
        admin.deleteTopics(Set.of(topic)).all().get();
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (admin.listTopics().names().get().contains(topic)) {
            pause(deadline, "the topic is still there");
        }
    }

    private void grow(String topic, int partitions) throws Exception {
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(partitions))).all().get();
        awaitTopic(topic, partitions);
    }

    private void awaitTopic(String topic, int partitions) throws Exception {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (true) {
            List<TopicPartitionInfo> infos = describe(topic).partitions();
            if (infos.size() == partitions && infos.stream().allMatch(info -> id(info.leader()) >= 0)) {
                return;
            }
            pause(deadline, "the topic has not all its leaders");
        }
    }

    // A line a partition: its number, its leader, its in-sync replicas.
    private void leaders(String topic) throws Exception {
        for (TopicPartitionInfo info : describe(topic).partitions()) {
            List<String> inSync = new ArrayList<>();
            for (Node node : info.isr()) {
                inSync.add(Integer.toString(node.id()));
            }
            out.println(info.partition() + "\t" + id(info.leader()) + "\t" + String.join(",", inSync));
        }
    }

    // The leader is made the first replica, which makes it the preferred one, and that one is elected.
    private void move(String topic, int partition, int leader) throws Exception {
        TopicPartition where = new TopicPartition(topic, partition);
        List<Integer> replicas = new ArrayList<>(List.of(leader));
        for (Node node : describe(topic).partitions().get(partition).replicas()) {
            if (node.id() != leader) {
                replicas.add(node.id());
            }
        }
        admin.alterPartitionReassignments(
            Map.of(where, Optional.of(new NewPartitionReassignment(replicas)))).all().get();
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (id(describe(topic).partitions().get(partition).leader()) != leader) {
            try {
                admin.electLeaders(ElectionType.PREFERRED, Set.of(where)).all().get();
            } catch (ExecutionException error) {
                if (!(error.getCause() instanceof ElectionNotNeededException)) {
                    System.err.println("election: " + error.getCause());
                }
            }
            pause(deadline, "the leader did not move");
        }
    }

    private void ends(String topic) throws Exception {
        int partitions = describe(topic).partitions().size();
        Map<TopicPartition, OffsetSpec> specs = new HashMap<>();
        for (int partition = 0; partition < partitions; partition++) {
            specs.put(new TopicPartition(topic, partition), OffsetSpec.latest());
        }
        var ends = known(() -> admin.listOffsets(specs).all());
        for (int partition = 0; partition < partitions; partition++) {
            out.println(ends.get(new TopicPartition(topic, partition)).offset());
        }
    }

    // Everything up to the present end, into a file of records.
    private void read(String topic, String file) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", servers);
        properties.put("isolation.level", "read_committed");
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "earliest");
        properties.put("max.poll.records", "5000");
        properties.put("fetch.max.bytes", "16777216");
        properties.put("max.partition.fetch.bytes", "2097152");
        long count = 0;
        try (KafkaConsumer<byte[], byte[]> consumer =
                 new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
             DataOutputStream to = new DataOutputStream(
                 new BufferedOutputStream(new FileOutputStream(file), 1 << 20))) {
            List<TopicPartition> partitions = new ArrayList<>();
            consumer.partitionsFor(topic).forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            Set<TopicPartition> left = new java.util.HashSet<>(partitions);
            long deadline = System.currentTimeMillis() + PATIENCE_MS;
            while (true) {
                left.removeIf(where -> consumer.position(where) >= ends.get(where));
                if (left.isEmpty()) {
                    break;
                }
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(200));
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    if (record.offset() < ends.get(new TopicPartition(topic, record.partition()))) {
                        write(to, record);
                        count++;
                    }
                }
                if (!records.isEmpty()) {
                    deadline = System.currentTimeMillis() + PATIENCE_MS;
                } else if (System.currentTimeMillis() > deadline) {
                    throw new IllegalStateException("nothing arrived for a minute; left are " + left);
                }
            }
        }
        out.println(count);
    }

    private static void write(DataOutputStream to, ConsumerRecord<byte[], byte[]> record) throws IOException {
        to.writeInt(record.partition());
        to.writeLong(record.offset());
        to.writeLong(record.timestamp());
        to.writeByte(record.timestampType() == TimestampType.LOG_APPEND_TIME ? 1 : 0);
        writeBytes(to, record.key());
        writeBytes(to, record.value());
        Header[] headers = record.headers().toArray();
        to.writeInt(headers.length);
        for (Header header : headers) {
            writeBytes(to, header.key().getBytes(StandardCharsets.UTF_8));
            writeBytes(to, header.value());
        }
    }

    // produce <topic> <file> [key=value]...: a line a record, its partition and its offset.
    private void produce(String[] words) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", servers);
        for (String word : Arrays.copyOfRange(words, 3, words.length)) {
            String[] pair = word.split("=", 2);
            properties.put(pair[0], pair[1]);
        }
        List<Future<RecordMetadata>> deliveries = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer =
                 new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
             DataInputStream from = new DataInputStream(
                 new BufferedInputStream(new FileInputStream(words[2]), 1 << 20))) {
            while (true) {
                int partition;
                try {
                    partition = from.readInt();
                } catch (EOFException end) {
                    break;
                }
                from.readLong();
                long timestamp = from.readLong();
                from.readByte();
                byte[] key = readBytes(from);
                byte[] value = readBytes(from);
                List<Header> headers = new ArrayList<>();
                for (int left = from.readInt(); left > 0; left--) {
                    String name = new String(readBytes(from), StandardCharsets.UTF_8);
                    headers.add(new RecordHeader(name, readBytes(from)));
                }
                deliveries.add(producer.send(new ProducerRecord<>(
                    words[1], partition < 0 ? null : partition, timestamp < 0 ? null : timestamp, key, value, headers)));
            }
            producer.flush();
            for (Future<RecordMetadata> delivery : deliveries) {
                out.println(delivery.get().partition() + "\t" + delivery.get().offset());
            }
        }
    }

    // A line an active producer: its id, epoch and last sequence.
    private void producers(String topic, int partition) throws Exception {
        TopicPartition where = new TopicPartition(topic, partition);
        for (ProducerState state : known(() -> admin.describeProducers(Collections.singleton(where))
                .partitionResult(where)).activeProducers()) {
            out.println(state.producerId() + "\t" + state.producerEpoch() + "\t" + state.lastSequence());
        }
    }

    private TopicDescription describe(String topic) throws Exception {
        return known(() -> admin.describeTopics(Set.of(topic)).allTopicNames()).get(topic);
    }

    // Brokers learn of a new topic one after the other, and any of them is asked: one that does not know it yet is
    // asked again.
    private static <T> T known(Supplier<Future<T>> question) throws Exception {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (true) {
            try {
                return question.get().get();
            } catch (ExecutionException error) {
                if (!(error.getCause() instanceof UnknownTopicOrPartitionException)) {
                    throw error;
                }
            }
            pause(deadline, "a broker does not know the topic");
        }
    }

    private static int id(Node node) {
        return node == null ? -1 : node.id();
    }

    private static void pause(long deadline, String why) throws InterruptedException {
        if (System.currentTimeMillis() > deadline) {
            throw new IllegalStateException(why + " after a minute");
        }
        Thread.sleep(20);
    }

    private static void writeBytes(DataOutputStream to, byte[] bytes) throws IOException {
        to.writeInt(bytes == null ? -1 : bytes.length);
        if (bytes != null) {
            to.write(bytes);
        }
    }

    private static byte[] readBytes(DataInputStream from) throws IOException {
        int length = from.readInt();
        if (length < 0) {
            return null;
        }
        byte[] bytes = new byte[length];
        from.readFully(bytes);
        return bytes;
    }
}

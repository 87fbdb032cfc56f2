import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.FileDescriptor;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

/** The Java client as a client program of the conformance driver: see package talk. */
public class Client {
    static final PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false);
    static final BufferedReader in = new BufferedReader(new InputStreamReader(System.in));

    public static void main(String[] args) throws Exception {
        String verb = args[0], bootstrap = args[1];
        String[] rest = Arrays.copyOfRange(args, 2, args.length);
        switch (verb) {
            case "produce" -> produce(bootstrap, rest[0]);
            case "consume" -> consume(bootstrap, rest);
            case "times" -> times(bootstrap);
            case "console" -> new Console(bootstrap, rest[0]).run();
            default -> throw new IllegalArgumentException("no such verb: " + verb);
        }
        out.flush();
    }

    static String text(byte[] b) {
        return b == null ? "-" : Base64.getEncoder().encodeToString(b);
    }

    static byte[] data(String s) {
        return s.equals("-") ? null : Base64.getDecoder().decode(s);
    }

    static synchronized void say(String line) {
        out.print(line + "\n");
        out.flush();
    }

    static Properties properties(String bootstrap) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("reconnect.backoff.ms", "20");
        p.put("reconnect.backoff.max.ms", "100");
        p.put("retry.backoff.ms", "20");
        return p;
    }

    static void produce(String bootstrap, String codec) throws IOException {
        Properties p = properties(bootstrap);
        p.put("compression.type", codec);
        p.put("enable.idempotence", "true");
        p.put("acks", "all");
        p.put("linger.ms", "5");
        var serializer = new ByteArraySerializer();
        try (var producer = new KafkaProducer<byte[], byte[]>(p, serializer, serializer)) {
            for (String line; (line = in.readLine()) != null; ) {
                String[] f = line.split("\t", -1);
                List<Header> headers = new ArrayList<>();
                for (String h : f[6].split(",")) {
                    if (!h.isEmpty()) {
                        String[] nv = h.split(":", 2);
                        headers.add(new RecordHeader(nv[0], data(nv[1])));
                    }
                }
                long invoked = System.nanoTime();
                var r = new ProducerRecord<>(f[1], Integer.valueOf(f[2]), Long.valueOf(f[3]), data(f[4]), data(f[5]), headers);
                producer.send(r, (at, e) -> say(f[0] + "\t" + invoked + "\t" + System.nanoTime() + "\t"
                        + (e == null ? at.offset() + "\t" + at.timestamp() : "!\t" + e.toString().replaceAll("\\s+", " "))));
            }
        }
    }

    static void consume(String bootstrap, String[] topics) {
        List<TopicPartition> partitions = new ArrayList<>();
        for (String t : topics) {
            String[] f = t.split("/");
            for (int i = 0; i < Integer.parseInt(f[1]); i++) {
                partitions.add(new TopicPartition(f[0], i));
            }
        }
        Map<TopicPartition, Long> until = new ConcurrentHashMap<>();
        Thread listener = new Thread(() -> listen(until));
        listener.setDaemon(true);
        listener.start();
        try (var consumer = consumer(bootstrap)) {
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> position = new HashMap<>();
            partitions.forEach(p -> position.put(p, 0L));
            while (!partitions.stream().allMatch(p -> until.containsKey(p) && position.get(p) >= until.get(p))) {
                pollOnce(consumer, position);
            }
        }
    }

    static KafkaConsumer<byte[], byte[]> consumer(String bootstrap) {
        Properties p = properties(bootstrap);
        p.put("fetch.max.wait.ms", "100");
        p.put("max.poll.records", "5000");
        p.put("enable.auto.commit", "false");
        return new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static void listen(Map<TopicPartition, Long> until) {
        try {
            for (String line; (line = in.readLine()) != null; ) {
                String[] f = line.split("\t");
                until.put(new TopicPartition(f[0], Integer.parseInt(f[1])), Long.valueOf(f[2]));
            }
        } catch (IOException e) {
            throw new RuntimeException(e);
        }
    }

    static void pollOnce(KafkaConsumer<byte[], byte[]> consumer, Map<TopicPartition, Long> position) {
        long invoked = System.nanoTime();
        var polled = consumer.poll(Duration.ofMillis(100));
        long completed = System.nanoTime();
        for (TopicPartition p : polled.partitions()) {
            var records = polled.records(p);
            long before = position.get(p), after = records.get(records.size() - 1).offset() + 1;
            position.put(p, after);
            var b = new StringBuilder();
            b.append(p.topic() + "\t" + p.partition() + "\t" + invoked + "\t" + completed + "\t" + before + "\t" + after + "\t" + records.size());
            for (var r : records) {
                b.append("\n").append(r.offset()).append("\t").append(r.timestamp()).append("\t").append(text(r.key())).append("\t").append(text(r.value())).append("\t");
                String comma = "";
                for (Header h : r.headers()) {
                    b.append(comma).append(h.key()).append(":").append(text(h.value()));
                    comma = ",";
                }
            }
            say(b.toString());
        }
    }

    static void times(String bootstrap) throws IOException {
        try (var consumer = consumer(bootstrap)) {
            for (String line; (line = in.readLine()) != null; ) {
                String[] f = line.split("\t");
                var p = new TopicPartition(f[0], Integer.parseInt(f[1]));
                long invoked = System.nanoTime();
                OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(p, Long.valueOf(f[2]))).get(p);
                say(f[0] + "\t" + f[1] + "\t" + f[2] + "\t" + invoked + "\t" + System.nanoTime() + "\t" + (found == null ? -1 : found.offset()));
            }
        }
    }

    /** What a web console asks by way of the admin client. */
    static class Console {
        final String bootstrap, topic;
        Admin admin;

        Console(String bootstrap, String topic) {
            this.bootstrap = bootstrap;
            this.topic = topic;
        }

        static <T> T get(KafkaFuture<T> f) throws Exception {
            return f.get(30, TimeUnit.SECONDS);
        }

        static void check(boolean holds, Object what) {
            if (!holds) {
                throw new AssertionError(Objects.toString(what));
            }
        }

        void run() throws Exception {
            try (Admin a = Admin.create(properties(bootstrap))) {
                admin = a;
                Node node = cluster();
                topics();
                configs(node);
                logDirs(node);
                listConfigResources();
                producers();
                changes();
            }
        }

        Node cluster() throws Exception {
            var c = admin.describeCluster();
            Collection<Node> nodes = get(c.nodes());
            check(nodes.size() == 1 && !get(c.clusterId()).isEmpty() && get(c.controller()) != null, nodes);
            say("describeCluster");
            return nodes.iterator().next();
        }

        void topics() throws Exception {
            check(get(admin.listTopics().names()).contains(topic), topic);
            say("listTopics");
            TopicDescription d = get(admin.describeTopics(Set.of(topic)).allTopicNames()).get(topic);
            check(d.partitions().size() > 0 && d.partitions().get(0).leader() != null, d);
            say("describeTopics");
            var p = new TopicPartition(topic, 0);
            var earliest = get(admin.listOffsets(Map.of(p, OffsetSpec.earliest())).all()).get(p);
            var latest = get(admin.listOffsets(Map.of(p, OffsetSpec.latest())).all()).get(p);
            var max = get(admin.listOffsets(Map.of(p, OffsetSpec.maxTimestamp())).all()).get(p);
            check(earliest.offset() == 0 && latest.offset() > 0 && max.offset() >= 0 && max.offset() < latest.offset(),
                    earliest + " " + max + " " + latest);
            say("listOffsets earliest, latest, maxTimestamp");
        }

        void configs(Node node) throws Exception {
            var broker = new ConfigResource(ConfigResource.Type.BROKER, node.idString());
            var ofTopic = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            var options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
            var all = get(admin.describeConfigs(Set.of(broker, ofTopic), options).all());
            ConfigEntry retention = all.get(ofTopic).get("retention.ms");
            check(retention != null && retention.isDefault() && !retention.synonyms().isEmpty()
                    && retention.type() == ConfigEntry.ConfigType.LONG && retention.documentation() != null, retention);
            ConfigEntry dirs = all.get(broker).get("log.dirs");
            check(dirs != null && dirs.isReadOnly() && dirs.source() == ConfigEntry.ConfigSource.STATIC_BROKER_CONFIG, dirs);
            say("describeConfigs: " + all.get(ofTopic).entries().size() + " settings of a topic, " + all.get(broker).entries().size() + " of a broker");
        }

        void logDirs(Node node) throws Exception {
            Map<String, LogDirDescription> dirs = get(admin.describeLogDirs(Set.of(node.id())).allDescriptions()).get(node.id());
            check(dirs.size() == 1, dirs);
            LogDirDescription d = dirs.values().iterator().next();
            ReplicaInfo r = d.replicaInfos().get(new TopicPartition(topic, 0));
            check(d.error() == null && r != null && r.size() > 0 && !r.isFuture() && r.offsetLag() == 0, dirs);
            check(d.totalBytes().orElse(0) > 0 && d.usableBytes().orElse(0) > 0, dirs);
            say("describeLogDirs: " + d.replicaInfos().size() + " partitions");
        }

        void listConfigResources() throws Exception {
            var all = get(admin.listConfigResources().all());
            check(all.contains(new ConfigResource(ConfigResource.Type.TOPIC, topic)), all);
            var brokers = get(admin.listConfigResources(Set.of(ConfigResource.Type.BROKER), new ListConfigResourcesOptions()).all());
            check(brokers.size() == 1, brokers);
            say("listConfigResources: " + all.size() + " resources");
        }

        void producers() throws Exception {
            var p = new TopicPartition(topic, 0);
            var state = get(admin.describeProducers(Set.of(p)).partitionResult(p));
            check(state.activeProducers().size() > 0 && state.activeProducers().get(0).producerId() >= 0, state);
            say("describeProducers: " + state.activeProducers().size());
        }

        /** On a topic of its own: created, configured, grown, cut and deleted. */
        void changes() throws Exception {
            String name = topic + "-changed";
            get(admin.createTopics(List.of(new NewTopic(name, 1, (short) 1).configs(Map.of("retention.ms", "3600000")))).all());
            var resource = new ConfigResource(ConfigResource.Type.TOPIC, name);
            check(value(resource, "retention.ms").equals("3600000"), resource);
            var op = new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), AlterConfigOp.OpType.SET);
            get(admin.incrementalAlterConfigs(Map.of(resource, List.of(op))).all());
            check(value(resource, "retention.ms").equals("7200000"), resource);
            say("createTopics, incrementalAlterConfigs");
            get(admin.createPartitions(Map.of(name, NewPartitions.increaseTo(3))).all());
            check(get(admin.describeTopics(Set.of(name)).allTopicNames()).get(name).partitions().size() == 3, name);
            say("createPartitions");
            var serializer = new ByteArraySerializer();
            try (var producer = new KafkaProducer<byte[], byte[]>(properties(bootstrap), serializer, serializer)) {
                for (int i = 0; i < 10; i++) {
                    producer.send(new ProducerRecord<>(name, 0, null, new byte[10]));
                }
            }
            var p = new TopicPartition(name, 0);
            var deleted = get(admin.deleteRecords(Map.of(p, RecordsToDelete.beforeOffset(4))).lowWatermarks().get(p));
            check(deleted.lowWatermark() == 4, deleted.lowWatermark());
            check(get(admin.listOffsets(Map.of(p, OffsetSpec.earliest())).all()).get(p).offset() == 4, p);
            say("deleteRecords");
            get(admin.deleteTopics(Set.of(name)).all());
            check(!get(admin.listTopics().names()).contains(name), name);
            say("deleteTopics");
        }

        String value(ConfigResource r, String name) throws Exception {
            return Optional.ofNullable(get(admin.describeConfigs(Set.of(r)).all()).get(r).get(name)).map(ConfigEntry::value).orElse("");
        }
    }
}

# librdkafka against a cluster: writes records, reads them back with partitions assigned by hand, and compares.
#
# librdkafka.py <servers> <topic> <records> <codec>

import sys

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition, libversion

servers, topic, count, codec = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
placed = {}


def delivered(error, message):
    if error is not None:
        sys.exit(f"a record was not delivered: {error}")
    placed[(message.partition(), message.offset())] = (message.key(), message.value())


producer = Producer({
    "bootstrap.servers": servers,
    "enable.idempotence": True,
    "compression.type": codec,
    "linger.ms": 5,
})
for index in range(count):
    key = None if index % 3 == 0 else b"key-%d" % (index % 100)
    producer.produce(topic, b"value-%d" % index + b"." * (index % 200), key, headers=[("n", b"%d" % index)],
                     on_delivery=delivered)
    producer.poll(0)
if producer.flush(60) != 0:
    sys.exit("not everything was delivered within a minute")

consumer = Consumer({
    "bootstrap.servers": servers,
    "group.id": "assigned-by-hand",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
})
partitions = sorted(consumer.list_topics(topic, 30).topics[topic].partitions)
consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
read, ended, last = {}, set(), {}
while len(ended) < len(partitions):
    message = consumer.poll(30)
    if message is None:
        sys.exit("nothing came for half a minute")
    if message.error():
        if message.error().code() != KafkaError._PARTITION_EOF:
            sys.exit(f"reading failed: {message.error()}")
        ended.add(message.partition())
        continue
    where = (message.partition(), message.offset())
    if where in read or message.offset() <= last.get(message.partition(), -1):
        sys.exit(f"{where} came twice or out of order")
    last[message.partition()] = message.offset()
    read[where] = (message.key(), message.value())
consumer.close()
if read != placed:
    sys.exit(f"{len(placed)} records were written, {len(read)} read, and they differ")
print(f"librdkafka {libversion()[0]} wrote and read {len(read)} records in {len(partitions)} partitions")

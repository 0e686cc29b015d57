"""Uses the embedded broker with librdkafka, through the confluent-kafka wheel.

Arguments: the path of the program milena-broker. For each release that the broker can pretend to be, topics are
created by an administrator, records are produced with every codec, idempotently, and read back with partitions
assigned by hand: each exactly once, in order, with key, value, headers and offset as they were delivered.

Prints one line a cell and exits with 1 at the first that is wrong.
"""

import subprocess
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition, libversion
from confluent_kafka.admin import AdminClient, NewTopic

RELEASES = ["2.1", "2.4", "2.8", "3.9", "4.0", "4.3"]
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
PARTITIONS = 3
RECORDS = 3000


def create(bootstrap, name):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    futures = admin.create_topics([NewTopic(name, num_partitions=PARTITIONS, replication_factor=2)])
    futures[name].result(10)
    found = admin.list_topics(name, timeout=10).topics[name]
    assert len(found.partitions) == PARTITIONS, found.partitions


def produce(bootstrap, name, codec, acks):
    """Produces RECORDS records and returns what was delivered, by partition and offset."""
    delivered = {}
    failed = []

    def on_delivery(error, message):
        if error is not None:
            failed.append(error)
            return
        delivered[(message.partition(), message.offset())] = (message.key(), message.value())

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": codec,
            "enable.idempotence": acks == "all",
            "acks": acks,
            "linger.ms": 2,
            "batch.num.messages": 100,
        }
    )
    for number in range(RECORDS):
        key = None if number % 7 == 0 else b"key-%d" % (number % 50)
        value = None if number % 11 == 0 else b"%d:" % number + b"x" * (number % 300)
        while True:
            try:
                producer.produce(
                    name,
                    key=key,
                    value=value,
                    headers=[("n", b"%d" % number), ("empty", b""), ("null", None)],
                    partition=number % PARTITIONS,
                    on_delivery=on_delivery,
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(30)
    assert left == 0, f"{left} records were not delivered"
    assert not failed, failed[0]
    assert len(delivered) == RECORDS, f"{len(delivered)} of {RECORDS} have a place of their own"
    return delivered


def consume(bootstrap, name, delivered):
    """Reads everything back with partitions assigned by hand and compares it."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "unused",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
        }
    )
    for partition in range(PARTITIONS):
        low, high = consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=10)
        assert (low, high) == (0, RECORDS // PARTITIONS), (low, high)
    consumer.assign([TopicPartition(name, index, OFFSET_BEGINNING) for index in range(PARTITIONS)])
    expected = [0] * PARTITIONS
    for _ in range(RECORDS):
        message = consumer.poll(10)
        assert message is not None, f"nothing more after {sum(expected)} records"
        assert message.error() is None, message.error()
        place = (message.partition(), message.offset())
        assert place[1] == expected[place[0]], f"{place} instead of {expected}"
        expected[place[0]] += 1
        assert delivered[place] == (message.key(), message.value()), place
        number = int(dict(message.headers())["n"])
        assert number == place[0] + place[1] * PARTITIONS, (number, place)
        assert [key for key, _ in message.headers()] == ["n", "empty", "null"]
    assert consumer.poll(0.3) is None, "a record too many"
    consumer.close()


def main():
    program = sys.argv[1]
    cells = 0
    for release in RELEASES:
        with subprocess.Popen(
            [program, "--brokers", "3", "--release", release, "--auto-create", "0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as broker:
            bootstrap = broker.stdout.readline().strip()
            try:
                for codec in CODECS:
                    for acks in ["all", "1"]:
                        name = f"{codec}-{acks}"
                        create(bootstrap, name)
                        consume(bootstrap, name, produce(bootstrap, name, codec, acks))
                        print(f"ok librdkafka {libversion()[0]} embedded {release} {codec} acks={acks}")
                        cells += 1
            finally:
                broker.stdin.close()
                broker.wait(10)
            assert broker.returncode == 0, broker.returncode
    print(f"{cells} cells")


if __name__ == "__main__":
    main()

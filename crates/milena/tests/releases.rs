//! Older brokers, by negotiation.

mod support;

use milena::{Compression, Message};
use milena_broker::{ApiKey, ClusterConfig, Release};
use support::{cluster_with, config, log};

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_from_2_1_on_are_written_to_with_each_codec() {
    for (release, produce) in [
        (Release::V2_1, 7),
        (Release::V2_4, 8),
        (Release::V2_8, 9),
        (Release::V3_9, 11),
        (Release::V4_0, 12),
        (Release::V4_3, 13),
    ] {
        let server = cluster_with(ClusterConfig {
            brokers: 2,
            auto_create: None,
            verify_records: true,
            release,
            ..ClusterConfig::default()
        })
        .await;
        for codec in CODECS {
            let name = format!("orders-{codec:?}").to_lowercase();
            server.cluster().create_topic(&name, 2).unwrap();
            let producer = config(&server).compression(codec).connect().await.unwrap();
            let topic = producer.topic(&name).await.unwrap();
            let value = |n: i32| format!("the value of record {n}, and the value of record {n}");
            let mut deliveries = Vec::new();
            for n in 0..40 {
                let message = Message::new().key("k").value(value(n)).partition(n % 2);
                let message = message.header("name", b"header");
                deliveries.push(topic.send(message).await.unwrap());
            }
            for (n, delivery) in deliveries.into_iter().enumerate() {
                let at = delivery.await.unwrap();
                assert_eq!(at.offset(), Some(n as i64 / 2), "{release:?} {codec:?}");
            }
            for partition in 0..2 {
                let stored = log(&server, &name, partition);
                assert_eq!(stored.len(), 20);
                for (n, record) in (partition..).step_by(2).zip(&stored) {
                    assert_eq!(record.text(), value(n), "{release:?} {codec:?}");
                    assert_eq!(record.key.as_deref(), Some(&b"k"[..]));
                    assert_eq!(record.headers.len(), 1);
                }
            }
            producer.close(std::time::Duration::from_secs(5)).await;
        }
        let cluster = server.cluster();
        let mut versions: Vec<i16> = Vec::new();
        for seen in cluster.journal().requests() {
            if seen.api == ApiKey::PRODUCE {
                versions.push(seen.version);
            }
        }
        assert!(!versions.is_empty());
        assert!(
            versions.iter().all(|version| *version == produce),
            "{release:?}: {versions:?}"
        );
    }
}

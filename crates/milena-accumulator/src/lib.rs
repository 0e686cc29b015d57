//! Where records wait: batches per partition, the buffer pool and deliveries.
#![forbid(unsafe_code)]

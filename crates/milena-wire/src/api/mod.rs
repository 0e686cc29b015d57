//! The messages, one module per API.

use crate::request::Api;

pub mod api_versions;
pub mod init_producer_id;
pub mod metadata;
pub mod produce;

/// Every API that is here, by key.
pub const ALL: &[Api] = &[
    Api::of::<produce::ProduceRequest<'_>>(),
    Api::of::<metadata::MetadataRequest<'_>>(),
    Api::of::<api_versions::ApiVersionsRequest<'_>>(),
    Api::of::<init_producer_id::InitProducerIdRequest<'_>>(),
];

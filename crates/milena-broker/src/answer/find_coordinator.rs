//! FindCoordinator: transactional ids have a coordinator, groups only if the configuration says so.

use milena_wire::api::find_coordinator::Coordinator;
use milena_wire::{ErrorCode, FindCoordinatorRequest, FindCoordinatorResponse};

use crate::answer::{Call, Hopeless};
use crate::cluster::Cluster;
use crate::reply::Reply;
use crate::shape::Broker;

impl Cluster {
    pub(crate) fn find_coordinator(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        let request: FindCoordinatorRequest<'_> = call.decode()?;
        let mut effects = self.meet(call, |_| Vec::new());
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        let transaction = request.key_type == FindCoordinatorRequest::TRANSACTION;
        let answered = transaction || self.config.group_coordinators;
        let one = |key| {
            let refused = effects.code().map_or(Ok(()), Err);
            let found = refused.and_then(|()| {
                let broker = self.coordinator(key).filter(|_| answered);
                broker.ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)
            });
            coordinator(key, found)
        };
        let mut response = FindCoordinatorResponse {
            throttle_time_ms: effects.throttle_ms,
            ..FindCoordinatorResponse::default()
        };
        if call.version.number >= 4 {
            response.coordinators = request
                .coordinator_keys
                .iter()
                .map(|key| one(key))
                .collect();
        } else {
            let one = one(request.key);
            response.error_code = one.error_code;
            response.error_message = one.error_message;
            (response.node_id, response.host, response.port) = (one.node_id, one.host, one.port);
        }
        call.answer::<FindCoordinatorRequest<'_>>(&effects, &response)
    }

    /// The broker that coordinates this key: always the same while the same brokers run.
    pub(crate) fn coordinator(&self, key: &str) -> Option<&Broker> {
        let sum = key.bytes().fold(0usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(usize::from(byte))
        });
        let live = self.shape.live().count();
        self.shape.live().nth(sum.checked_rem(live)?)
    }
}

fn coordinator<'a>(key: &'a str, found: Result<&'a Broker, ErrorCode>) -> Coordinator<'a> {
    match found {
        Ok(broker) => Coordinator {
            key,
            node_id: broker.id,
            host: &broker.host,
            port: i32::from(broker.port),
            error_message: None,
            ..Coordinator::default()
        },
        Err(code) => Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code: code.0,
            error_message: None,
            ..Coordinator::default()
        },
    }
}

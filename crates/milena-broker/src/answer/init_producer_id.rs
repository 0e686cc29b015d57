//! InitProducerId: an id for an idempotent producer, or the next epoch of a transactional one.

use milena_wire::{ErrorCode, InitProducerIdRequest, InitProducerIdResponse};

use crate::answer::{Call, Hopeless};
use crate::cluster::{Cluster, Transactional};
use crate::reply::Reply;

impl Cluster {
    pub(crate) fn init_producer_id(&mut self, call: &Call<'_>) -> Result<Reply, Hopeless> {
        let request: InitProducerIdRequest<'_> = call.decode()?;
        let mut effects = self.meet(call, |_| Vec::new());
        if let Some(reply) = effects.before(call.now) {
            return Ok(reply);
        }
        let given = effects.carry_out(None, || self.give_producer_id(&request));
        let (producer_id, producer_epoch, code) = match given {
            Ok((id, epoch)) => (id, epoch, ErrorCode::NONE),
            Err(code) => (-1, -1, code),
        };
        let response = InitProducerIdResponse {
            throttle_time_ms: effects.throttle_ms,
            error_code: code.0,
            producer_id,
            producer_epoch,
            ..InitProducerIdResponse::default()
        };
        call.answer::<InitProducerIdRequest<'_>>(&effects, &response)
    }

    fn give_producer_id(
        &mut self,
        request: &InitProducerIdRequest<'_>,
    ) -> Result<(i64, i16), ErrorCode> {
        match request.transactional_id {
            // Whatever id it says it had: an idempotent producer always gets a new one.
            None => Ok((self.next_producer_id(), 0)),
            Some("") => Err(ErrorCode::INVALID_REQUEST),
            Some(name) => {
                let (producer_id, epoch) = match self.transactional.get(name) {
                    Some(known) if known.epoch < i16::MAX - 1 => {
                        (known.producer_id, known.epoch + 1)
                    }
                    _ => (self.next_producer_id(), 0),
                };
                let given = Transactional {
                    producer_id,
                    epoch,
                    timeout_ms: request.transaction_timeout_ms,
                };
                self.transactional.insert(name.to_owned(), given);
                Ok((producer_id, epoch))
            }
        }
    }

    fn next_producer_id(&mut self) -> i64 {
        self.producer_ids += 1;
        self.producer_ids - 1
    }
}

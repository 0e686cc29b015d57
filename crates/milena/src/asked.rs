//! What callers who do not wait asked for: topics, and partitions of them, that are looked up until they call again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use milena_accumulator::{Accumulator, Clock, TopicError, WaitTopic};
use milena_tokio::SystemClock;

use crate::error::SendError;

/// So long a topic is looked up for those who do not wait for it, or longer if `max.block.ms` is.
const LOOK_UP: Duration = Duration::from_secs(60);

/// With so many questions, or twice as many as were open then, those that nobody came back for are looked through.
const FEW: usize = 64;

/// The questions that are open, by topic and partition, at most one for each.
#[derive(Default)]
pub(crate) struct Asked {
    questions: Vec<Question>,
    /// How many were open when all were looked through.
    open: usize,
}

struct Question {
    topic: Arc<str>,
    partition: Option<i32>,
    wait: WaitTopic,
}

impl Question {
    fn poll(&mut self) -> Poll<Option<TopicError>> {
        let context = &mut Context::from_waker(Waker::noop());
        Pin::new(&mut self.wait).poll(context).map(Result::err)
    }
}

impl Asked {
    /// What a caller hears who asks, perhaps not for the first time: why the topic cannot be had, once, or that it is
    /// being looked up.
    pub(crate) fn again(
        &mut self,
        accumulator: &Accumulator,
        max_block: Duration,
        name: &str,
        partition: Option<i32>,
    ) -> SendError {
        let wanted = (name, partition);
        let place = |question: &Question| (&*question.topic, question.partition).cmp(&wanted);
        let mut found = self.questions.binary_search_by(place);
        if let Ok(at) = found
            && let Poll::Ready(error) = self.questions[at].poll()
        {
            self.questions.remove(at);
            if let Some(error) = error {
                return error.into();
            }
            found = Err(at);
        }
        let topic = match found {
            Ok(at) => Arc::clone(&self.questions[at].topic),
            Err(at) => {
                let topic: Arc<str> = name.into();
                let now = SystemClock.now();
                let deadline = now + max_block.max(LOOK_UP);
                let wait = accumulator.wait_topic(now, &topic, partition, deadline);
                let question = Question {
                    topic: Arc::clone(&topic),
                    partition,
                    wait,
                };
                self.questions.insert(at, question);
                self.forget_answered();
                topic
            }
        };
        SendError::UnknownYet { topic, partition }
    }

    /// Forgets questions with an answer that nobody came back for, seldom enough that a call costs nothing by it.
    fn forget_answered(&mut self) {
        if self.questions.len() >= FEW.max(2 * self.open) {
            self.questions
                .retain_mut(|question| question.poll().is_pending());
            self.open = self.questions.len();
        }
    }
}

//! Faults by rule: which requests are meant, how often, and what becomes of them.

use milena_wire::{ApiKey, ErrorCode};

use crate::change::Change;
use crate::rng::Rng;

/// What a rule does to a request that it meets.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Act {
    /// Answer this error; the request, or the part of it that is meant, is not carried out.
    Error(ErrorCode),
    /// Carry it out, then answer this error. This is for requests that can change something: Produce, InitProducerId,
    /// CreateTopics, DeleteTopics, CreatePartitions, and Metadata, which may create topics. To others it does nothing.
    ErrorAfter(ErrorCode),
    /// Answer `INVALID_RECORD` with these records to blame, by index in the batch (Produce 8 on, KIP-467).
    RecordErrors(Vec<(i32, Option<String>)>),
    /// Carry it out at once and hold the answer back, in milliseconds. Answers behind it wait too.
    Delay(u64),
    /// Carry it out only after this many milliseconds, as a broker does that was stopped for a while.
    Hold(u64),
    /// Answer with this throttle time in milliseconds (KIP-219).
    Throttle(i32),
    /// Close the connection.
    Cut(Cut),
    /// Do nothing, and never answer anything on this connection again.
    Silence,
    /// Carry it out and leave out the answer; later requests are answered.
    DropAnswer,
    /// Leave the partitions that are meant out of a Produce answer.
    OmitPartition,
    /// Repeat the partitions that are meant in a Produce answer.
    RepeatPartition,
    /// Add a partition that was not asked for to a Produce answer.
    AddPartition(i32),
    /// Write these bytes instead of an answer.
    Raw(Vec<u8>),
    /// Answer with a correlation id that is this much larger.
    WrongCorrelation(i32),
    /// Leave out this many bytes at the end of the answer; the length in front fits what is left.
    Truncate(usize),
    /// Change the cluster, then carry the request out.
    Change(Change),
}

/// When a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// After half of the request was read; it is not carried out. A rule with this cannot tell topics apart.
    InRequest,
    /// After the request was read, before it is carried out.
    Before,
    /// After it was carried out; nothing is answered.
    After,
    /// After half of the answer was written.
    InAnswer,
}

/// A number that a rule goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub(crate) u64);

/// Which requests are meant, and what becomes of them.
///
/// ```
/// use milena_broker::{ApiKey, Act, ErrorCode, Rule};
///
/// // The third Produce request to partition 0 of `orders` is answered NOT_LEADER_OR_FOLLOWER, 50 ms late.
/// let rule = Rule::on(ApiKey::PRODUCE)
///     .partition("orders", 0)
///     .skip(2)
///     .times(1)
///     .act(Act::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER))
///     .act(Act::Delay(50));
/// ```
///
/// A request that closes the connection anyway, since it cannot be read or is in a version that is not spoken, meets no
/// rule; ApiVersions is answered in any version.
///
/// All rules that meet a request do what they say. Of several errors for one partition the first counts that such a
/// request can have, and of several cuts the first; delays add up.
#[derive(Clone, Debug)]
pub struct Rule {
    api: Option<ApiKey>,
    broker: Option<i32>,
    topic: Option<String>,
    partition: Option<i32>,
    skip: u64,
    times: u64,
    probability: f64,
    each_partition: bool,
    acts: Vec<Act>,
}

impl Rule {
    /// A rule for requests of this kind, at any broker.
    pub fn on(api: ApiKey) -> Self {
        Self {
            api: Some(api),
            ..Self::always()
        }
    }

    /// A rule for all requests.
    pub fn always() -> Self {
        Self {
            api: None,
            broker: None,
            topic: None,
            partition: None,
            skip: 0,
            times: u64::MAX,
            probability: 1.0,
            each_partition: false,
            acts: Vec::new(),
        }
    }

    /// Only at this broker.
    #[must_use]
    pub fn broker(mut self, broker: i32) -> Self {
        self.broker = Some(broker);
        self
    }

    /// Only requests that name this topic; an error is answered for that topic only.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Only requests that name this partition; an error is answered for that partition only.
    #[must_use]
    pub fn partition(mut self, topic: impl Into<String>, partition: i32) -> Self {
        self.partition = Some(partition);
        self.topic(topic)
    }

    /// Lets the first `n` requests that fit pass. By default none.
    #[must_use]
    pub fn skip(mut self, n: u64) -> Self {
        self.skip = n;
        self
    }

    /// Acts on this many requests and then no more. By default there is no end.
    #[must_use]
    pub fn times(mut self, n: u64) -> Self {
        self.times = n;
        self
    }

    /// Acts on a request that fits with this probability, from 0 to 1, by the cluster's seed.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Counts and draws for every partition of a request on its own, not once a request.
    #[must_use]
    pub fn each_partition(mut self) -> Self {
        self.each_partition = true;
        self
    }

    /// Adds something that it does.
    #[must_use]
    pub fn act(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    /// Answers this error; short for [`Act::Error`].
    #[must_use]
    pub fn error(self, code: ErrorCode) -> Self {
        self.act(Act::Error(code))
    }

    fn meets_request(&self, broker: i32, api: ApiKey) -> bool {
        self.api.is_none_or(|wanted| wanted == api) && self.broker.is_none_or(|id| id == broker)
    }

    fn meets(&self, target: &Target) -> bool {
        self.topic
            .as_deref()
            .is_none_or(|wanted| wanted == target.topic)
            && self
                .partition
                .is_none_or(|wanted| Some(wanted) == target.partition)
    }

    fn cuts_in_request(&self) -> bool {
        self.acts.contains(&Act::Cut(Cut::InRequest))
    }
}

/// A topic or a partition that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) topic: String,
    pub(crate) partition: Option<i32>,
}

impl Target {
    pub(crate) fn new(topic: &str, partition: Option<i32>) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
        }
    }
}

/// What rules do to the parts of one request that name these partitions.
#[derive(Clone, Debug)]
struct PartAct {
    topic: Option<String>,
    partition: Option<i32>,
    act: Act,
}

/// An error that is answered, and what becomes of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is not carried out.
    Instead(ErrorCode),
    /// It is carried out before.
    After(ErrorCode),
}

impl Told {
    pub(crate) fn code(self) -> ErrorCode {
        let (Self::Instead(code) | Self::After(code)) = self;
        code
    }
}

/// The error that is answered instead of carrying something out, if this is one.
fn instead(act: &Act) -> Option<ErrorCode> {
    match act {
        Act::Error(code) => Some(*code),
        _ => None,
    }
}

/// What all rules together do to one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    parts: Vec<PartAct>,
    pub(crate) delay_ms: u64,
    pub(crate) hold_ms: u64,
    pub(crate) throttle_ms: i32,
    pub(crate) cut: Option<Cut>,
    pub(crate) silence: bool,
    pub(crate) drop_answer: bool,
    pub(crate) raw: Option<Vec<u8>>,
    pub(crate) correlation: i32,
    pub(crate) truncate: usize,
    pub(crate) add_partitions: Vec<i32>,
    pub(crate) changes: Vec<Change>,
}

impl Effects {
    /// What happens to this topic or partition, or, without a topic, to a request that names none.
    fn parts_of(&self, topic: Option<&str>, partition: Option<i32>) -> impl Iterator<Item = &Act> {
        let meant = move |part: &&PartAct| {
            (part.topic.is_none() || part.topic.as_deref() == topic)
                && (part.partition.is_none() || part.partition == partition)
        };
        self.parts.iter().filter(meant).map(|part| &part.act)
    }

    /// The first error, or errors of records, for this partition of a Produce request.
    pub(crate) fn error_for(&self, topic: &str, partition: i32) -> Option<&Act> {
        self.parts_of(Some(topic), Some(partition)).find(|act| {
            matches!(
                act,
                Act::Error(_) | Act::ErrorAfter(_) | Act::RecordErrors(_)
            )
        })
    }

    /// The code to answer for this topic or partition of a request that changes nothing.
    pub(crate) fn code_for(&self, topic: &str, partition: Option<i32>) -> Option<ErrorCode> {
        self.parts_of(Some(topic), partition).find_map(instead)
    }

    /// The error of a request that names no topics and changes nothing.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        self.parts_of(None, None).find_map(instead)
    }

    /// What to answer for this topic, or to a request that names none, where something may be changed.
    pub(crate) fn told(&self, topic: Option<&str>) -> Option<Told> {
        self.parts_of(topic, None).find_map(|act| match act {
            Act::Error(code) => Some(Told::Instead(*code)),
            Act::ErrorAfter(code) => Some(Told::After(*code)),
            _ => None,
        })
    }

    /// Carries out what is asked, unless an error is answered instead. One that is answered after it hides the result.
    pub(crate) fn carry_out<T>(
        &self,
        topic: Option<&str>,
        change: impl FnOnce() -> Result<T, ErrorCode>,
    ) -> Result<T, ErrorCode> {
        match self.told(topic) {
            None => change(),
            Some(Told::Instead(code)) => Err(code),
            Some(Told::After(code)) => {
                let _ = change();
                Err(code)
            }
        }
    }

    pub(crate) fn omits(&self, topic: &str, partition: i32) -> bool {
        self.parts_of(Some(topic), Some(partition))
            .any(|act| *act == Act::OmitPartition)
    }

    pub(crate) fn repeats(&self, topic: &str, partition: i32) -> bool {
        self.parts_of(Some(topic), Some(partition))
            .any(|act| *act == Act::RepeatPartition)
    }

    fn add(&mut self, act: &Act, topic: Option<&str>, partition: Option<i32>) {
        match act {
            Act::Error(_)
            | Act::ErrorAfter(_)
            | Act::RecordErrors(_)
            | Act::OmitPartition
            | Act::RepeatPartition => self.parts.push(PartAct {
                topic: topic.map(str::to_owned),
                partition,
                act: act.clone(),
            }),
            Act::Delay(ms) => self.delay_ms += ms,
            Act::Hold(ms) => self.hold_ms += ms,
            Act::Throttle(ms) => self.throttle_ms = self.throttle_ms.max(*ms),
            Act::Cut(cut) => self.cut = self.cut.or(Some(*cut)),
            Act::Silence => self.silence = true,
            Act::DropAnswer => self.drop_answer = true,
            Act::AddPartition(index) => self.add_partitions.push(*index),
            Act::Raw(bytes) => self.raw = self.raw.take().or_else(|| Some(bytes.clone())),
            Act::WrongCorrelation(by) => self.correlation = *by,
            Act::Truncate(by) => self.truncate = *by,
            Act::Change(change) => self.changes.push(change.clone()),
        }
    }
}

/// The rules in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    next: u64,
    rules: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    id: RuleId,
    rule: Rule,
    met: u64,
    fired: u64,
}

impl Entry {
    /// Counts one more request that fits, and says whether the rule acts on it.
    fn fires(&mut self, rng: &mut Rng) -> bool {
        self.met += 1;
        if self.met <= self.rule.skip || self.fired >= self.rule.times {
            return false;
        }
        let fires = rng.chance(self.rule.probability);
        self.fired += u64::from(fires);
        fires
    }
}

impl Rules {
    pub(crate) fn add(&mut self, rule: Rule) -> RuleId {
        self.next += 1;
        let id = RuleId(self.next);
        self.rules.push(Entry {
            id,
            rule,
            met: 0,
            fired: 0,
        });
        id
    }

    pub(crate) fn remove(&mut self, id: RuleId) {
        self.rules.retain(|entry| entry.id != id);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn fired(&self, id: RuleId) -> u64 {
        self.rules
            .iter()
            .find(|entry| entry.id == id)
            .map_or(0, |entry| entry.fired)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether there are rules that act on half of a request.
    pub(crate) fn cut_in_request(&self) -> bool {
        self.rules.iter().any(|entry| entry.rule.cuts_in_request())
    }

    /// Whether a request of this kind is to be cut off after half of it; counts it as met.
    pub(crate) fn cuts_arriving(&mut self, rng: &mut Rng, broker: i32, api: ApiKey) -> bool {
        let mut cut = false;
        for entry in &mut self.rules {
            if entry.rule.cuts_in_request() && entry.rule.meets_request(broker, api) {
                cut |= entry.fires(rng);
            }
        }
        cut
    }

    /// What all rules do to a request that names these topics or partitions.
    pub(crate) fn meet(
        &mut self,
        rng: &mut Rng,
        broker: i32,
        api: ApiKey,
        targets: &[Target],
    ) -> Effects {
        let mut effects = Effects::default();
        for entry in &mut self.rules {
            if !entry.rule.meets_request(broker, api) || entry.rule.cuts_in_request() {
                continue;
            }
            if entry.rule.each_partition {
                for target in targets {
                    if entry.rule.meets(target) && entry.fires(rng) {
                        for act in &entry.rule.acts {
                            effects.add(act, Some(&target.topic), target.partition);
                        }
                    }
                }
                continue;
            }
            let anything = entry.rule.topic.is_none() && entry.rule.partition.is_none();
            let meets = anything || targets.iter().any(|target| entry.rule.meets(target));
            if meets && entry.fires(rng) {
                for act in &entry.rule.acts {
                    effects.add(act, entry.rule.topic.as_deref(), entry.rule.partition);
                }
            }
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: ErrorCode = ErrorCode::NOT_ENOUGH_REPLICAS;

    fn meet(rules: &mut Rules, broker: i32, targets: &[(&str, i32)]) -> Effects {
        let targets: Vec<_> = targets
            .iter()
            .map(|(topic, p)| Target::new(topic, Some(*p)))
            .collect();
        rules.meet(&mut Rng::new(3), broker, ApiKey::PRODUCE, &targets)
    }

    #[test]
    fn a_rule_skips_acts_and_ends() {
        let mut rules = Rules::default();
        let id = rules.add(Rule::on(ApiKey::PRODUCE).skip(2).times(2).error(CODE));
        let hits: Vec<bool> = (0..6)
            .map(|_| meet(&mut rules, 1, &[("t", 0)]).code().is_some())
            .collect();
        assert_eq!(hits, [false, false, true, true, false, false]);
        assert_eq!(rules.fired(id), 2);
    }

    #[test]
    fn a_rule_looks_at_kind_and_broker() {
        let mut rules = Rules::default();
        rules.add(Rule::on(ApiKey::PRODUCE).broker(2).error(CODE));
        assert!(meet(&mut rules, 1, &[]).code().is_none());
        assert!(meet(&mut rules, 2, &[]).code().is_some());
        let other = rules.meet(&mut Rng::new(0), 2, ApiKey::METADATA, &[]);
        assert!(other.code().is_none());
    }

    #[test]
    fn an_error_meets_its_partition_only() {
        let mut rules = Rules::default();
        rules.add(
            Rule::on(ApiKey::PRODUCE)
                .partition("t", 1)
                .times(1)
                .error(CODE),
        );
        assert!(meet(&mut rules, 1, &[("t", 0)]).parts.is_empty());
        let effects = meet(&mut rules, 1, &[("t", 0), ("t", 1)]);
        assert_eq!(effects.code_for("t", Some(1)), Some(CODE));
        assert_eq!(effects.code_for("t", Some(0)), None);
        assert_eq!(effects.code(), None);
    }

    #[test]
    fn an_error_that_a_request_cannot_have_hides_no_other() {
        let mut rules = Rules::default();
        let after = ErrorCode::REQUEST_TIMED_OUT;
        rules.add(Rule::always().act(Act::RecordErrors(Vec::new())));
        rules.add(Rule::always().act(Act::ErrorAfter(after)));
        rules.add(Rule::always().error(CODE));
        let effects = meet(&mut rules, 1, &[("t", 0)]);
        assert_eq!(effects.code(), Some(CODE));
        assert_eq!(effects.code_for("t", Some(0)), Some(CODE));
        assert_eq!(effects.told(Some("t")), Some(Told::After(after)));
        assert_eq!(
            effects.error_for("t", 0),
            Some(&Act::RecordErrors(Vec::new()))
        );
    }

    #[test]
    fn partitions_can_be_drawn_one_by_one() {
        let mut rules = Rules::default();
        rules.add(
            Rule::on(ApiKey::PRODUCE)
                .topic("t")
                .each_partition()
                .times(1)
                .error(CODE),
        );
        let effects = meet(&mut rules, 1, &[("u", 0), ("t", 4), ("t", 5)]);
        assert_eq!(effects.code_for("t", Some(4)), Some(CODE));
        assert_eq!(effects.code_for("t", Some(5)), None);
    }

    #[test]
    fn several_rules_add_up() {
        let mut rules = Rules::default();
        rules.add(Rule::always().act(Act::Delay(5)));
        rules.add(Rule::always().act(Act::Delay(7)).act(Act::Cut(Cut::After)));
        rules.add(Rule::always().act(Act::Cut(Cut::Before)));
        let effects = meet(&mut rules, 1, &[]);
        assert_eq!((effects.delay_ms, effects.cut), (12, Some(Cut::After)));
    }

    #[test]
    fn probability_is_seeded() {
        let draw = |seed| {
            let mut rules = Rules::default();
            rules.add(Rule::always().probability(0.5).error(CODE));
            let mut rng = Rng::new(seed);
            let mut hit = || rules.meet(&mut rng, 1, ApiKey::FETCH, &[]).code().is_some();
            (0..64).map(|_| hit()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn half_a_request_is_judged_by_kind_and_broker() {
        let mut rules = Rules::default();
        rules.add(
            Rule::on(ApiKey::PRODUCE)
                .skip(1)
                .times(1)
                .act(Act::Cut(Cut::InRequest)),
        );
        let mut rng = Rng::new(0);
        let mut arrive = |api| rules.cuts_arriving(&mut rng, 1, api);
        assert!(!arrive(ApiKey::METADATA) && !arrive(ApiKey::PRODUCE));
        assert!(arrive(ApiKey::PRODUCE) && !arrive(ApiKey::PRODUCE));
    }
}

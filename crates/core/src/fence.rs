//! When a primary refuses writes. Pure; the agent of the leading pod carries it out.
//!
//! Who is cut off cannot see that another is made primary. So a primary takes writes while somebody vouches for it:
//! - a replica that acknowledges what it sends;
//! - a majority of the Sentinels that answers, whether or not it watches the bus yet, and names no other.
//!
//! When neither has been so for the fencing window it is fenced: what it took from then on could be lost. It is fenced at once
//! when Sentinels name another, or are making another primary. It takes writes again once nobody else can lead: every replica
//! acknowledges to it, or a majority of Sentinels names it and none is failing over. Without replicas nobody could take over,
//! and it is never fenced.

use crate::names::Names;
use crate::protocol::{AgentConfig, FedReplica, Fenced};
use crate::seal::{Opinion, Vote, opinion};
use std::collections::BTreeSet;

/// The directive by which a primary is made to refuse writes.
pub const DIRECTIVE: &str = "min-replicas-to-write";
/// Its value meanwhile: more than a bus can have.
pub const UNMET: &str = "99";

/// Replicas acknowledge once a second, and the engine counts whole seconds.
const PROMPT_S: u64 = 1;

/// What one Sentinel said to a primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing in time.
    Silent,
    /// It does not watch this bus.
    Unaware,
    /// It watches the bus.
    Names {
        /// Whom it names.
        vote: Vote,
        /// It is making another the primary, which may lead already.
        promoting: bool,
    },
}

impl Answer {
    /// Whom it names.
    #[must_use]
    pub fn vote(&self) -> Option<Vote> {
        match self {
            Self::Silent | Self::Unaware => None,
            Self::Names { vote, .. } => Some(vote.clone()),
        }
    }
}

/// What the Sentinels said, asked all at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hearing {
    /// When they began to be asked.
    pub asked_ms: u64,
    /// One for each configured Sentinel.
    pub answers: Vec<Answer>,
}

/// A leading pod at one look. Times are milliseconds of one clock that never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The mounted configuration.
    pub config: &'a AgentConfig,
    /// The pod.
    pub pod: &'a str,
    /// Now.
    pub now_ms: u64,
    /// The server's own list of replicas.
    pub replicas: &'a [FedReplica],
    /// What Sentinels last said to this pod.
    pub hearing: Option<&'a Hearing>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Writes are to be refused, also where they are already.
    Fence(Fenced),
    /// Writes that were refused are to be taken again.
    Unfence,
    /// Nothing.
    Stay,
}

/// What is remembered from look to look, from the first one at which the pod led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    leads_since_ms: u64,
    /// When somebody last vouched for it.
    vouched_ms: u64,
    /// Every replica acknowledges to it.
    whole: bool,
    fenced: Option<Fenced>,
}

impl Watch {
    /// Of a pod that begins to lead: whoever made it lead vouches for it.
    #[must_use]
    pub fn begin(now_ms: u64) -> Self {
        Self {
            leads_since_ms: now_ms,
            vouched_ms: now_ms,
            whole: false,
            fenced: None,
        }
    }

    /// Why it refuses writes, where it does.
    #[must_use]
    pub fn fenced(&self) -> Option<&Fenced> {
        self.fenced.as_ref()
    }

    /// Whether Sentinels are to be asked. While every replica is with it, none can lead.
    #[must_use]
    pub fn asks(&self, config: &AgentConfig) -> bool {
        is_fenceable(config) && !(self.whole && self.fenced.is_none())
    }

    /// Whether the next look may wait: half of the window is left, at least.
    #[must_use]
    pub fn may_wait(&self, config: &AgentConfig, now_ms: u64) -> bool {
        let half = config.fencing_window_ms / 2;
        !is_fenceable(config)
            || (self.fenced.is_none() && now_ms.saturating_sub(self.vouched_ms) < half)
    }

    /// Judges a look. The verdict stands until [`Watch::carried_out`] says that it is done.
    pub fn judge(&mut self, sight: &Sight<'_>) -> Verdict {
        let window = sight.config.fencing_window_ms;
        self.whole = is_whole(sight);
        if !is_fenceable(sight.config) {
            return self.open();
        }
        let fresh = sight
            .hearing
            .filter(|hearing| age(sight, hearing.asked_ms) < window);
        let heard = fresh.map_or(Heard::Nothing, |hearing| heard(sight, hearing));
        if let Some(acknowledged) = last_acknowledgement(sight) {
            self.vouched_ms = self.vouched_ms.max(acknowledged);
        }
        if let (Some(hearing), Heard::Majority { .. }) = (fresh, &heard) {
            self.vouched_ms = self.vouched_ms.max(hearing.asked_ms);
        }
        let named = match heard {
            // Sentinels name a pod that they promoted a second after they did.
            Heard::Against(why) if age(sight, self.leads_since_ms) >= window => {
                return Verdict::Fence(why);
            }
            Heard::Against(_) => None,
            Heard::Majority { named } => Some(named),
            Heard::Nothing => Some(false),
        };
        match (&self.fenced, named) {
            (Some(why), None) => Verdict::Fence(why.clone()),
            (Some(why), Some(named)) if !named && !self.whole => Verdict::Fence(why.clone()),
            (Some(_), Some(_)) => {
                self.vouched_ms = sight.now_ms;
                self.open()
            }
            (None, _) if age(sight, self.vouched_ms) >= window => Verdict::Fence(Fenced::Isolated),
            (None, _) => Verdict::Stay,
        }
    }

    /// Takes note that a verdict has been carried out.
    pub fn carried_out(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Fence(why) => self.fenced = Some(why),
            Verdict::Unfence => self.fenced = None,
            Verdict::Stay => {}
        }
    }

    fn open(&self) -> Verdict {
        if self.fenced.is_some() {
            Verdict::Unfence
        } else {
            Verdict::Stay
        }
    }
}

/// What Sentinels' answers come to for the one that asked.
enum Heard {
    /// Too few answered, or none was asked.
    Nothing,
    /// A majority answered, and nothing speaks against this pod.
    Majority {
        /// They name this pod.
        named: bool,
    },
    /// Another is, or is becoming, the primary.
    Against(Fenced),
}

fn heard(sight: &Sight<'_>, hearing: &Hearing) -> Heard {
    let answers = &hearing.answers;
    let config = sight.config;
    let names = Names::new(&config.bus, &config.namespace, &config.domain);
    let votes: Vec<Option<Vote>> = answers.iter().map(Answer::vote).collect();
    let for_this = match opinion(&names, &votes) {
        Opinion::Majority { pod, .. } | Opinion::Moving { to: pod } if pod != sight.pod => {
            return Heard::Against(Fenced::Outvoted(pod));
        }
        Opinion::Majority { .. } => true,
        Opinion::Moving { .. } | Opinion::None => false,
    };
    let promoting = answers.iter().any(|answer| match answer {
        Answer::Names { vote, promoting } => {
            *promoting && names.data_pod_of_host(&vote.primary_host).as_deref() == Some(sight.pod)
        }
        Answer::Silent | Answer::Unaware => false,
    });
    let answered = answers
        .iter()
        .filter(|answer| **answer != Answer::Silent)
        .count();
    if promoting {
        Heard::Against(Fenced::FailingOver)
    } else if answered > answers.len() / 2 {
        Heard::Majority { named: for_this }
    } else {
        Heard::Nothing
    }
}

/// Without replicas nobody could take over. A configuration of an older operator names no window.
fn is_fenceable(config: &AgentConfig) -> bool {
    config.replicas > 0 && config.fencing_window_ms > 0
}

/// Whether every replica acknowledges.
fn is_whole(sight: &Sight<'_>) -> bool {
    let prompt: BTreeSet<&str> = sight
        .replicas
        .iter()
        .filter(|replica| replica.online && replica.lag <= PROMPT_S)
        .map(|replica| replica.host.as_str())
        .collect();
    prompt.len() >= sight.config.replicas as usize
}

/// When a replica in the stream last acknowledged.
fn last_acknowledgement(sight: &Sight<'_>) -> Option<u64> {
    let online = sight.replicas.iter().filter(|replica| replica.online);
    let lag = online.map(|replica| replica.lag).min()?;
    sight.now_ms.checked_sub(lag.saturating_mul(1_000))
}

fn age(sight: &Sight<'_>, then_ms: u64) -> u64 {
    sight.now_ms.saturating_sub(then_ms)
}

//! When a primary refuses writes. Pure; the agent of the leading pod carries it out.
//!
//! Who is cut off cannot see that another is made primary: Sentinels that do not answer may be about to promote any replica that
//! they reach, and may have promoted any that is not here. So a primary takes writes
//! - while a majority of the Sentinels answers, whether or not it watches the bus yet, and names no other;
//! - when none has for the fencing window, while every replica acknowledges: then there is none to promote. Its server is told
//!   to take writes only with all of them, so that it refuses in the moment in which one leaves it, before anybody has looked.
//!
//! When neither is so it is fenced. It is fenced at once when Sentinels name another, or are making another primary. It takes
//! writes again once nobody else can lead: every replica acknowledges to it, or a majority of Sentinels names it and none is
//! failing over. Without replicas nobody could take over, and it is never fenced.

use crate::names::Names;
use crate::protocol::{AgentConfig, FedReplica, Fenced};
use crate::seal::{Opinion, Vote, opinion};
use std::collections::BTreeSet;

/// The directive by which a primary is made to refuse writes.
pub const DIRECTIVE: &str = "min-replicas-to-write";
/// Its value meanwhile: more than a bus can have.
pub const UNMET: &str = "99";

/// Between two looks at a leading server of which all is well, milliseconds.
pub const LEISURE_MS: u64 = 1_000;

/// Replicas acknowledge once a second, and the engine counts whole seconds.
const PROMPT_S: u64 = 1;
/// Two of these pass, as the engine counts, in little more than one.
const LATE_S: u64 = 2;

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
    /// Writes are to be taken while every replica is in the stream, and by the server's own rule no longer, also where it is told
    /// so already.
    Bind,
    /// Writes are to be taken as the spec says, where they were bound or refused.
    Open,
    /// Nothing.
    Stay,
}

/// What is remembered from look to look, from the first one at which the pod led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    leads_since_ms: u64,
    /// When a majority of Sentinels was last asked that answered and spoke for no other.
    heard_ms: u64,
    /// Every replica acknowledges to it.
    whole: bool,
    stance: Stance,
}

/// What the server was last told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stance {
    Open,
    Bound,
    Fenced(Fenced),
}

impl Watch {
    /// Of a pod that begins to lead: whoever made it lead vouches for it.
    #[must_use]
    pub fn begin(now_ms: u64) -> Self {
        Self {
            leads_since_ms: now_ms,
            heard_ms: now_ms,
            whole: false,
            stance: Stance::Open,
        }
    }

    /// Why it refuses writes, where it does.
    #[must_use]
    pub fn fenced(&self) -> Option<&Fenced> {
        match &self.stance {
            Stance::Fenced(why) => Some(why),
            Stance::Open | Stance::Bound => None,
        }
    }

    /// Whether the server takes writes as the spec says.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stance == Stance::Open
    }

    /// Whether Sentinels are to be asked: at every look while a replica is missing or writes are not open, else so often that
    /// two answers fit into the window. That they have gone silent must be known before they can have promoted a replica.
    #[must_use]
    pub fn asks(&self, config: &AgentConfig, now_ms: u64) -> bool {
        let due = self.silence(now_ms) >= config.fencing_window_ms / 3;
        is_fenceable(config) && (due || !self.whole || !self.is_open())
    }

    /// Whether the next look may wait for [`LEISURE_MS`]: an answer asked for then comes in time.
    #[must_use]
    pub fn may_wait(&self, config: &AgentConfig, now_ms: u64) -> bool {
        let in_time = config.fencing_window_ms / 4 * 3;
        !is_fenceable(config) || (self.is_open() && self.silence(now_ms) + LEISURE_MS < in_time)
    }

    /// For how long no majority of Sentinels has answered.
    fn silence(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.heard_ms)
    }

    /// Judges a look. The verdict stands until [`Watch::carried_out`] says that it is done.
    pub fn judge(&mut self, sight: &Sight<'_>) -> Verdict {
        let window = sight.config.fencing_window_ms;
        self.whole = has_all(sight, |lag| lag <= PROMPT_S);
        if !is_fenceable(sight.config) {
            return self.open();
        }
        let fresh = sight
            .hearing
            .filter(|hearing| age(sight, hearing.asked_ms) < window);
        let heard = fresh.map_or(Heard::Nothing, |hearing| heard(sight, hearing));
        if let (Some(hearing), Heard::Majority { .. }) = (fresh, &heard) {
            self.heard_ms = self.heard_ms.max(hearing.asked_ms);
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
        match (&self.stance, named) {
            (Stance::Fenced(why), None) => Verdict::Fence(why.clone()),
            (Stance::Fenced(why), Some(false)) if !self.whole => Verdict::Fence(why.clone()),
            _ if self.silence(sight.now_ms) < window => self.open(),
            // Whoever leaves is out of the list at once; one that is only late has the window too.
            _ if has_all(sight, |lag| {
                lag <= LATE_S || lag.saturating_mul(1_000) < window
            }) =>
            {
                Verdict::Bind
            }
            _ => Verdict::Fence(Fenced::Isolated),
        }
    }

    /// Takes note that a verdict has been carried out.
    pub fn carried_out(&mut self, verdict: Verdict) {
        self.stance = match verdict {
            Verdict::Fence(why) => Stance::Fenced(why),
            Verdict::Bind => Stance::Bound,
            Verdict::Open => Stance::Open,
            Verdict::Stay => return,
        };
    }

    fn open(&self) -> Verdict {
        if self.is_open() {
            Verdict::Stay
        } else {
            Verdict::Open
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
    let names = names(sight.config);
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

/// Whether every other data pod that should be there acknowledges, each within the seconds that count as recent. Who else is in
/// the list, as one that takes a backup, stands for none of them.
fn has_all(sight: &Sight<'_>, is_recent: impl Fn(u64) -> bool) -> bool {
    let names = names(sight.config);
    let online = sight.replicas.iter().filter(|replica| replica.online);
    let there: BTreeSet<String> = online
        .filter(|replica| is_recent(replica.lag))
        .filter_map(|replica| names.data_pod_of_host(&replica.host))
        .collect();
    names
        .data_pods(sight.config.replicas)
        .all(|pod| pod == sight.pod || there.contains(&pod))
}

fn names(config: &AgentConfig) -> Names {
    Names::new(&config.bus, &config.namespace, &config.domain)
}

fn age(sight: &Sight<'_>, then_ms: u64) -> u64 {
    sight.now_ms.saturating_sub(then_ms)
}

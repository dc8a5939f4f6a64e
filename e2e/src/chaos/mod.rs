//! What can befall a bus, each fault a small value, and one way to have it happen under load and to judge what it did.

mod catalogue;
mod held;
pub mod list;
mod row;
pub mod run;
mod scene;
mod small_disk;
pub mod soak;
mod told;

use std::time::Duration;

use futures::future::BoxFuture;

pub use catalogue::all;
pub use row::Row;
pub use scene::Scene;

/// How a fault is done. It returns when nothing of it is in force any more.
pub type Befall = for<'a> fn(&'a Scene) -> BoxFuture<'a, anyhow::Result<()>>;

/// One fault.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Its name, one word.
    pub name: &'static str,
    /// What happens, and how it ends by itself.
    pub how: &'static str,
    /// Does it.
    befall: Befall,
    /// What may be lost.
    pub loses: Loses,
    /// How long two servers may take writes: what a primary takes that cannot know better.
    pub beside: Duration,
    /// Reasons of conditions and of Events of which a person sees one at least; none: nothing need be seen.
    pub tells: &'static [&'static str],
    /// It takes the node of the primary away.
    pub takes_the_node: bool,
    /// It lasts a while and leaves the bus at work, so that another may befall it meanwhile.
    pub lasts: bool,
    /// It takes minutes.
    pub slow: bool,
    /// Whose volume is a small disk of its own.
    pub small_disk: Option<Whose>,
}

/// What may be lost, from nothing on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loses {
    /// Nothing that was acknowledged.
    Nothing,
    /// What the primary alone had acknowledged; nothing that a replica has confirmed.
    Unconfirmed,
    /// By a person's word, also what a replica has confirmed.
    ByHand,
}

/// Whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The primary's.
    Primary,
    /// A replica's.
    Replica,
}

impl Fault {
    /// A fault that may lose what only the primary had, leaves no two primaries and need not be seen.
    const fn new(name: &'static str, how: &'static str, befall: Befall) -> Self {
        Self {
            name,
            how,
            befall,
            loses: Loses::Unconfirmed,
            beside: Duration::ZERO,
            tells: &[],
            takes_the_node: false,
            lasts: false,
            slow: false,
            small_disk: None,
        }
    }

    const fn loses(self, loses: Loses) -> Self {
        Self { loses, ..self }
    }

    const fn beside(self, beside: Duration) -> Self {
        Self { beside, ..self }
    }

    const fn tells(self, tells: &'static [&'static str]) -> Self {
        Self { tells, ..self }
    }

    const fn takes_the_node(self) -> Self {
        Self {
            takes_the_node: true,
            ..self
        }
    }

    const fn lasts(self) -> Self {
        Self {
            lasts: true,
            ..self
        }
    }

    const fn slow(self) -> Self {
        Self { slow: true, ..self }
    }

    const fn on_small_disk(self, whose: Whose) -> Self {
        Self {
            small_disk: Some(whose),
            ..self
        }
    }
}

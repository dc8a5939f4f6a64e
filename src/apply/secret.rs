//! Sends one Secret, and removes those that no service needs any more.

use super::{Applied, Foundations, Outcome, Sender};
use crate::error::Error;
use crate::fault::{self, FaultPoint};
use crate::ownership::{Owner, owner};
use crate::secrets::{self, Stored};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use std::collections::BTreeSet;

impl Sender<'_> {
    /// Stores a Secret. The fault point is reached if something was written.
    async fn secret(&self, secret: &Secret, point: FaultPoint) -> Result<Outcome, Error> {
        Ok(
            match secrets::store(self.context, self.bus, secret).await? {
                Stored::Unchanged => Outcome::There,
                Stored::Written => {
                    fault::point(point);
                    Outcome::There
                }
                Stored::Stale => Outcome::Stale,
                Stored::Taken(blocked) => Outcome::Blocked(blocked),
            },
        )
    }

    /// Stores the Secrets that everything else rests on, first those that the others follow from.
    pub(super) async fn secrets(
        &self,
        foundations: &Foundations<'_>,
        copies: [(&Secret, FaultPoint); 5],
    ) -> Applied {
        let mut applied = Applied::default();
        let credentials = (foundations.credentials, FaultPoint::CredentialsStored);
        let authority = foundations
            .authority
            .map(|secret| (secret, FaultPoint::AuthorityStored));
        for (secret, point) in [credentials].into_iter().chain(authority) {
            applied.add([self.secret(secret, point).await]);
            if !applied.is_clean() {
                return applied;
            }
        }
        let copies = copies.map(|(secret, point)| self.secret(secret, point));
        applied.add(join_all(copies).await);
        applied.founded = applied.is_clean();
        applied
    }

    /// Stores the Secret of each service.
    pub(super) async fn bindings<'a>(
        &self,
        bindings: impl Iterator<Item = &'a Secret>,
    ) -> Vec<Result<Outcome, Error>> {
        join_all(bindings.map(|secret| self.secret(secret, FaultPoint::BindingStored))).await
    }

    /// Removes the Secrets of services that the bus has no more.
    pub(super) async fn no_other_bindings(
        &self,
        bindings: impl Iterator<Item = &Secret>,
    ) -> Vec<Result<Outcome, Error>> {
        let needed: BTreeSet<String> = bindings.map(kube::ResourceExt::name_any).collect();
        let prefix = self.bus.names.binding("");
        let left_over = self.context.stores.secrets.state_filter(|secret| {
            let name = secret.name_any();
            secret.namespace().as_deref() == Some(self.bus.names.namespace())
                && name.starts_with(&prefix)
                && !needed.contains(&name)
                && owner(self.bus, &secret.metadata) == Owner::Ours
        });
        join_all(left_over.iter().map(|secret| async {
            match secrets::delete(self.context, self.bus, secret).await {
                Ok(()) => Ok(Outcome::There),
                Err(error) if error.is_conflict() => Ok(Outcome::Stale),
                Err(error) => Err(error),
            }
        }))
        .await
    }
}

//! Carries out what was decided about backups and restorations.

use crate::context::Context;
use crate::error::Error;
use crate::events;
use crate::metrics::Ending;
use crate::ownership::only;
use crate::partial::PartialPod;
use crate::watches::WatchedBackup;
use cachebus_api::status::BackupPhase;
use cachebus_api::{BackupStatus, CacheBusBackup, CacheBusBackupSpec};
use cachebus_core::backup::{BackupAction, Task, plan_backups, rejected, told};
use cachebus_core::bus::Bus;
use cachebus_core::names::{BUS_LABEL, SCHEDULED_LABEL};
use cachebus_core::observed::Observed;
use cachebus_core::plan::{Restoration, restoration};
use cachebus_core::render::{Place, backup_pod, restore_claim, restore_pod};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::PostParams;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

/// Does what is to be done about the backups of a bus. Returns what failed; it is decided anew in the next pass.
pub async fn act(context: &Context, bus: &Bus, observed: &Observed) -> Vec<Error> {
    let acting = Acting {
        context,
        bus,
        observed,
    };
    let mut failures = Vec::new();
    if let Err(error) = acting.restore(&restoration(bus, observed)).await {
        failures.push(error);
    }
    let mut failed = BTreeSet::new();
    for action in plan_backups(bus, observed) {
        // What follows for a backup follows from what came before.
        let name = name(&action).to_owned();
        if failed.contains(&name) {
            continue;
        }
        let starts = matches!(action, BackupAction::Start { .. });
        match acting.carry_out(action).await {
            Ok(true) => {}
            Ok(false) => {
                failed.insert(name);
            }
            Err(error) => {
                let mut all = observed.backups.all.iter();
                let backup = all.find(|backup| starts && backup.name == name);
                match backup.filter(|_| error.is_rejected()) {
                    Some(backup) => {
                        let status = rejected(backup, &error.to_string(), observed.now_ms);
                        failures.extend(acting.report(&name, status).await.err());
                    }
                    None => failures.push(error),
                }
                failed.insert(name);
            }
        }
    }
    failures
}

fn name(action: &BackupAction) -> &str {
    match action {
        BackupAction::Schedule { name }
        | BackupAction::Start { name, .. }
        | BackupAction::Report { name, .. }
        | BackupAction::Sweep { name }
        | BackupAction::Forget { name } => name,
    }
}

/// Whether the object of this UID controls a pod.
fn is_of(pod: &PartialPod, owner: &str) -> bool {
    let mut owners = pod.owner_references().iter();
    owners.any(|reference| reference.controller == Some(true) && reference.uid == owner)
}

struct Acting<'a> {
    context: &'a Context,
    bus: &'a Bus,
    observed: &'a Observed,
}

impl Acting<'_> {
    /// `false`: it was not done, since the object is another than was seen, or an earlier one of its name is not gone yet.
    async fn carry_out(&self, action: BackupAction) -> Result<bool, Error> {
        match action {
            BackupAction::Report { name, status } => return self.report(&name, *status).await,
            BackupAction::Schedule { name } => self.schedule(&name).await?,
            BackupAction::Start {
                name,
                tasks,
                destination,
                encryption,
            } => {
                let place = Place {
                    destination: &destination,
                    encryption: encryption.as_ref(),
                };
                return self.start(&name, place, &tasks).await;
            }
            BackupAction::Sweep { name } => {
                if let Some(uid) = self.uid(&name) {
                    let pod = self.bus.names.backup_pod(&name);
                    self.sweep(&pod, uid).await?;
                }
            }
            BackupAction::Forget { name } => {
                if let Some(uid) = self.uid(&name) {
                    tracing::info!(backup = name, "a backup has outlived itself");
                    self.delete::<CacheBusBackup>(&name, uid).await?;
                }
            }
        }
        Ok(true)
    }

    async fn restore(&self, decided: &Restoration) -> Result<(), Error> {
        let bus = self.bus;
        match decided {
            Restoration::None => Ok(()),
            Restoration::Sweep => self.sweep(&bus.names.restore_pod(), &bus.uid).await,
            Restoration::Begin(task) => {
                let Some(bootstrap) = &bus.spec.bootstrap else {
                    return Ok(());
                };
                let source = &bootstrap.from_backup;
                let place = Place {
                    destination: &source.destination,
                    encryption: source.encryption.as_ref(),
                };
                self.create::<PersistentVolumeClaim>(&restore_claim(bus))
                    .await?;
                let pod = restore_pod(bus, &self.context.platform, place, task);
                self.create::<Pod>(&pod).await
            }
        }
    }

    async fn schedule(&self, name: &str) -> Result<(), Error> {
        let spec = CacheBusBackupSpec {
            bus: self.bus.names.bus().to_owned(),
            ..CacheBusBackupSpec::default()
        };
        let mut backup = CacheBusBackup::new(name, spec);
        let labels = [(SCHEDULED_LABEL, "true"), (BUS_LABEL, self.bus.names.bus())];
        backup.metadata.labels = Some(
            labels
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        );
        tracing::info!(backup = name, "a backup is due");
        self.create(&backup).await
    }

    /// `false`: the backup is gone, or the pod of an earlier one of its name is not. Only pods of backups have such a name and the
    /// operator's label; that one is not waited for by anybody, and must not be taken for this backup's.
    async fn start(&self, name: &str, place: Place<'_>, tasks: &[Task]) -> Result<bool, Error> {
        let Some(backup) = self.backup(name) else {
            return Ok(false);
        };
        let uid = backup.uid().unwrap_or_default();
        let pod = self.bus.names.backup_pod(name);
        if let Some(earlier) = self.pod(&pod).filter(|seen| !is_of(seen, &uid)) {
            if earlier.metadata.deletion_timestamp.is_none() {
                tracing::info!(pod, "the pod of an earlier backup of this name has to go");
                let earlier = earlier.uid().unwrap_or_default();
                self.delete::<Pod>(&pod, &earlier).await?;
            }
            return Ok(false);
        }
        let pod = backup_pod(self.bus, &self.context.platform, (name, &uid), place, tasks);
        self.create(&pod).await?;
        Ok(true)
    }

    /// Writes a status if the object is as it was seen, and tells people how it differs. `false`: it is not; the next pass sees to it.
    async fn report(&self, name: &str, status: BackupStatus) -> Result<bool, Error> {
        let Some(mut object) = self.backup(name) else {
            return Ok(false);
        };
        let before = object.status.replace(status).unwrap_or_default();
        let api: Api<CacheBusBackup> = self.api();
        match api
            .replace_status(name, &PostParams::default(), &object)
            .await
        {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(false),
            Err(error) => return Err(Error::api("update", "CacheBusBackup", name, &error)),
        }
        let after = object.status.clone().unwrap_or_default();
        self.count(&before, &after);
        events::publish(self.context, &object, told(&before, &after)).await;
        Ok(true)
    }

    fn count(&self, before: &BackupStatus, after: &BackupStatus) {
        let result = match after.phase {
            Some(BackupPhase::Succeeded) => "succeeded",
            Some(BackupPhase::Failed) => "failed",
            Some(BackupPhase::Pending | BackupPhase::Running) | None => return,
        };
        if before.phase != after.phase {
            let backups = &self.context.metrics.backups;
            backups.get_or_create(&Ending { result }).inc();
        }
    }

    /// A backup as it was seen.
    fn backup(&self, name: &str) -> Option<CacheBusBackup> {
        let key = ObjectRef::<WatchedBackup>::new(name).within(self.bus.names.namespace());
        let seen = self.context.stores.backups.get(&key)?;
        seen.0.as_ref().ok().cloned()
    }

    /// UID of a backup, as it was seen when it was decided what to do.
    fn uid(&self, name: &str) -> Option<&str> {
        let mut all = self.observed.backups.all.iter();
        let backup = all.find(|backup| backup.name == name)?;
        Some(&backup.uid)
    }

    /// A pod as it is seen.
    fn pod(&self, name: &str) -> Option<Arc<PartialPod>> {
        let key = ObjectRef::<PartialPod>::new(name).within(self.bus.names.namespace());
        self.context.stores.pods.get(&key)
    }

    /// Deletes the pod of this name if the object of this UID controls it.
    async fn sweep(&self, pod: &str, owner: &str) -> Result<(), Error> {
        match self.pod(pod).filter(|seen| is_of(seen, owner)) {
            Some(seen) => {
                let uid = seen.uid().unwrap_or_default();
                self.delete::<Pod>(pod, &uid).await
            }
            None => Ok(()),
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.context.client.clone(), self.bus.names.namespace())
    }

    /// Makes an object, unless there is one of its name: this one, which is not seen yet, as a rule.
    async fn create<K>(&self, object: &K) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        match self.api::<K>().create(&PostParams::default(), object).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => {
                let (kind, name) = (K::kind(&()), object.name_any());
                Err(Error::api("create", &kind, &name, &error))
            }
        }
    }

    /// Deletes the object of this UID and none other.
    async fn delete<K>(&self, name: &str, uid: &str) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        match self.api::<K>().delete(name, &only(uid)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(Error::api("delete", &K::kind(&()), name, &error)),
        }
    }
}

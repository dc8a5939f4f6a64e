//! The operator on the lab's cluster, the way its users install it.

use crate::image::OPERATOR;
use crate::lab::{ENGINES, Lab, image_id};
use crate::progress::step;
use crate::workspace;

/// The chart of the custom resources, seen from the root of the workspace.
pub const CRDS_CHART: &str = "charts/cachebus-crds";

/// The operator's chart, seen from the root of the workspace.
pub const OPERATOR_CHART: &str = "charts/cachebus";

/// Where the operator runs.
pub const NAMESPACE: &str = "cachebus-system";

const CRDS_RELEASE: &str = "cachebus-crds";
const OPERATOR_RELEASE: &str = "cachebus";

/// Installs or upgrades both charts, with the images of the lab, and waits until the operator is ready.
pub fn install(lab: &Lab) -> anyhow::Result<()> {
    step("installing the custom resources", || {
        upgrade(lab, CRDS_RELEASE, CRDS_CHART, &[])
    })?;
    step("installing the operator", || {
        let (repository, tag) = OPERATOR.rsplit_once(':').unwrap_or((OPERATOR, "latest"));
        let engines: serde_json::Map<_, _> = ENGINES
            .iter()
            .map(|engine| (engine.key.to_owned(), engine.image(lab.source()).into()))
            .collect();
        // Pods of an image that was built again under the same name are replaced.
        let built = image_id(OPERATOR).unwrap_or_default();
        let values = [
            format!("image.repository={repository}"),
            format!("image.tag={tag}"),
            "image.pullPolicy=Never".to_owned(),
            format!("podAnnotations.image-id={built}"),
        ];
        let mut arguments: Vec<String> = values
            .into_iter()
            .flat_map(|value| ["--set-string".to_owned(), value])
            .collect();
        arguments.push("--set-json".to_owned());
        arguments.push(format!(
            "engines.images={}",
            serde_json::Value::from(engines)
        ));
        upgrade(lab, OPERATOR_RELEASE, OPERATOR_CHART, &arguments)
    })
}

/// Removes the operator, the custom resources and every bus.
pub fn uninstall(lab: &Lab) -> anyhow::Result<()> {
    step("removing the operator", || {
        for release in [OPERATOR_RELEASE, CRDS_RELEASE] {
            lab.helm()
                .args(["uninstall", release, "--namespace", NAMESPACE])
                .args(["--ignore-not-found", "--wait", "--timeout", "2m"])
                .run()?;
        }
        Ok(())
    })
}

fn upgrade(lab: &Lab, release: &str, chart: &str, arguments: &[String]) -> anyhow::Result<()> {
    lab.helm()
        .args(["upgrade", "--install", release])
        .arg(workspace::root().join(chart))
        .args(["--namespace", NAMESPACE, "--create-namespace"])
        .args(["--wait", "--timeout", "3m"])
        .args(arguments)
        .run()
}

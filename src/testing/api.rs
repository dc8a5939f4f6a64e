//! An API server in memory: as much of one as a pass over a bus needs. A request for which the operator's roles give no right
//! fails the test.

use crate::client::classify;
use cachebus_core::rbac::{CLUSTER_RULES, LEADER_RULES, RULES};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use k8s_openapi::api::core::v1::Service;
use kube::Client;
use kube::api::DeleteParams;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    requests: Vec<String>,
    /// Resources whose objects cannot be written, with the status that is answered.
    broken: BTreeMap<String, u16>,
    /// Resources that may not be read.
    forbidden: BTreeSet<&'static str>,
    /// Request, as it is shown, after which somebody else changes its object.
    meddled: Option<&'static str>,
}

/// An API server in memory. Objects lie at the path of their URL.
#[derive(Clone, Default)]
pub struct Api(Arc<Mutex<State>>);

impl Api {
    /// A client of it.
    pub fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        Client::new(service, "default")
    }

    /// The requests since the last call: verb and path without the namespace, `POST secrets`.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().requests)
    }

    /// The requests since the last call that change something.
    pub fn writes(&self) -> Vec<String> {
        let mut requests = self.requests();
        requests.retain(|request| !request.starts_with("GET "));
        requests
    }

    /// Every object of a resource.
    pub fn all(&self, resource: &str) -> Vec<Value> {
        let part = format!("/{resource}/");
        let state = self.0.lock().unwrap();
        let objects = state.objects.iter();
        objects
            .filter(|(path, _)| path.contains(&part))
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// An object.
    pub fn get(&self, resource: &str, name: &str) -> Option<Value> {
        let mut all = self.all(resource).into_iter();
        all.find(|object| object["metadata"]["name"] == name)
    }

    /// Puts an object there, as somebody else would.
    pub fn put(&self, path: &str, object: Value) {
        self.0.lock().unwrap().store(path, object);
    }

    /// Removes an object, as somebody else would.
    pub fn remove(&self, resource: &str, name: &str) {
        let end = format!("/{resource}/{name}");
        self.0
            .lock()
            .unwrap()
            .objects
            .retain(|path, _| !path.ends_with(&end));
    }

    /// Changes an object, as somebody else would.
    pub fn change(&self, resource: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let end = format!("/{resource}/{name}");
        let mut state = self.0.lock().unwrap();
        let (path, mut object) = state
            .objects
            .iter()
            .find(|(path, _)| path.ends_with(&end))
            .map(|(path, object)| (path.clone(), object.clone()))
            .unwrap();
        change(&mut object);
        state.store(&path, object);
    }

    /// Refuses to write objects of a resource, as a policy does.
    pub fn refuse(&self, resource: &str) {
        self.0
            .lock()
            .unwrap()
            .broken
            .insert(resource.to_owned(), 403);
    }

    /// Refuses to read objects of a resource, as of somebody whose rights end at a namespace.
    pub fn forbid(&self, resource: &'static str) {
        self.0.lock().unwrap().forbidden.insert(resource);
    }

    /// Fails to write objects of a resource, as an overloaded server does.
    pub fn fail(&self, resource: &str) {
        self.0
            .lock()
            .unwrap()
            .broken
            .insert(resource.to_owned(), 500);
    }

    /// Somebody else labels the object of a request right after the next one that is shown like this: `PUT cachebuses/b/status`.
    pub fn meddle_after(&self, request: &'static str) {
        self.0.lock().unwrap().meddled = Some(request);
    }

    /// Does everything again.
    pub fn recover(&self) {
        self.0.lock().unwrap().broken.clear();
    }

    async fn answer(&self, request: Request<Body>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let apply = parts
            .headers
            .get("content-type")
            .is_some_and(|kind| kind == "application/apply-patch+yaml");
        let mut state = self.0.lock().unwrap();
        state.check_rights(&parts.method, &parts.uri, apply);
        let query = parts.uri.query().unwrap_or_default();
        let (status, answer) = match state.read_of_cluster(&parts.method, parts.uri.path(), query) {
            Some(answer) => answer,
            None => state.answer(&parts.method, parts.uri.path(), body, apply),
        };
        state.meddle(parts.uri.path());
        drop(state);
        let mut response = Response::new(Full::new(answer.to_string().into()));
        *response.status_mut() = status;
        response
    }
}

impl State {
    /// An apply that makes an object needs the right to create it, too.
    fn check_rights(&self, method: &Method, uri: &Uri, apply: bool) {
        let asked = classify(method, uri);
        let group = match uri.path().strip_prefix("/apis/") {
            Some(rest) => rest.split('/').next().unwrap(),
            None => "",
        };
        let creates = apply && !self.objects.contains_key(uri.path());
        for verb in [asked.verb].into_iter().chain(creates.then_some("create")) {
            let rules = RULES.iter().chain(CLUSTER_RULES).chain(LEADER_RULES);
            let granted = rules.clone().any(|rule| {
                (rule.group, rule.resource) == (group, &*asked.resource)
                    && rule.verbs.contains(&verb)
            });
            assert!(granted, "no right to {verb} {group} {}", asked.resource);
        }
    }

    /// Answers what is asked of objects in no namespace, where that is not to be answered like all else: the list of nodes,
    /// by one host name.
    fn read_of_cluster(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
    ) -> Option<(StatusCode, Value)> {
        let mut parts = path.split('/');
        let forbidden = parts.any(|part| self.forbidden.contains(part));
        let nodes = path == "/api/v1/nodes";
        if *method != Method::GET || !(forbidden || nodes) {
            return None;
        }
        self.requests.push(format!("{method} {path}"));
        if forbidden {
            return Some(failure(403, "Forbidden"));
        }
        let objects = self.objects.iter();
        let objects = objects.filter(|(path, _)| path.starts_with("/api/v1/nodes/"));
        let named = objects.filter(|(_, node)| {
            let name = node["metadata"]["labels"]["kubernetes.io/hostname"].as_str();
            name.is_some_and(|name| query.contains(&format!("%28{name}%29")))
        });
        let items: Vec<Value> = named.map(|(_, node)| node.clone()).collect();
        let list = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": items});
        Some((StatusCode::OK, list))
    }

    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        body: Value,
        apply: bool,
    ) -> (StatusCode, Value) {
        let shown = path
            .split_once("/namespaces/data/")
            .map_or(path, |(_, rest)| rest);
        self.requests.push(format!("{method} {shown}"));
        let (path, status_only) = match path.strip_suffix("/status") {
            Some(path) => (path, true),
            None => (path, false),
        };
        let broken = self
            .broken
            .iter()
            .find(|(resource, _)| path.contains(&format!("/{resource}")));
        if let Some((_, code)) = broken
            && method != Method::GET
        {
            return failure(*code, "Broken");
        }
        let current = self.objects.get(path).cloned();
        if let (Some(current), Some(version)) =
            (&current, body["metadata"]["resourceVersion"].as_str())
            && current["metadata"]["resourceVersion"] != version
        {
            return failure(409, "Conflict");
        }
        match (method.as_str(), current) {
            ("POST", _) => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                if self.objects.contains_key(&path) {
                    return failure(409, "AlreadyExists");
                }
                (StatusCode::CREATED, self.store(&path, body))
            }
            ("PATCH", current) if apply => {
                let mut object = body;
                if let Some(current) = current {
                    object["metadata"]["uid"] = current["metadata"]["uid"].clone();
                    if !current["status"].is_null() {
                        object["status"] = current["status"].clone();
                    }
                }
                (StatusCode::OK, self.store(path, object))
            }
            (_, None) => failure(404, "NotFound"),
            ("GET", Some(current)) => (StatusCode::OK, current),
            ("DELETE", Some(current)) => {
                let meant = &body["preconditions"]["uid"];
                if !meant.is_null() && *meant != current["metadata"]["uid"] {
                    return failure(409, "Conflict");
                }
                let orphans = body["propagationPolicy"] == "Orphan";
                if path.contains("/statefulsets/") {
                    assert!(orphans, "its pods would go, too");
                    self.check_owned(path);
                }
                self.objects.remove(path);
                (StatusCode::OK, current)
            }
            ("PUT", Some(mut current)) if status_only => {
                current["status"] = body["status"].clone();
                (StatusCode::OK, self.store(path, current))
            }
            ("PUT", Some(_)) => (StatusCode::OK, self.store(path, body)),
            ("PATCH", Some(mut current)) => {
                merge(&mut current, &body);
                (StatusCode::OK, self.store(path, current))
            }
            (_, Some(_)) => failure(405, "MethodNotAllowed"),
        }
    }

    /// Whether the pods of a StatefulSet that is deleted would outlive it though the garbage collector knew of none of them.
    fn check_owned(&self, set: &str) {
        let pods = set.replace("/apis/apps/v1/", "/api/v1/");
        let pods = pods.replace("/statefulsets/", "/pods/") + "-";
        for (path, pod) in self
            .objects
            .iter()
            .filter(|(path, _)| path.starts_with(&pods))
        {
            let owners = pod["metadata"]["ownerReferences"].as_array();
            let lasts =
                |owner: &Value| owner["kind"] == "CacheBus" && owner["controller"].is_null();
            assert!(
                owners.is_some_and(|owners| owners.iter().any(lasts)),
                "{path}: owned by the set alone"
            );
        }
    }

    /// After a request to this path.
    fn meddle(&mut self, path: &str) {
        if self.meddled.is_none() || self.meddled != self.requests.last().map(String::as_str) {
            return;
        }
        self.meddled = None;
        let path = path.strip_suffix("/status").unwrap_or(path);
        let mut object = self.objects[path].clone();
        object["metadata"]["labels"]["meddled"] = json!("yes");
        self.store(path, object);
    }

    /// Keeps an object, with a new version if it differs from what is there.
    fn store(&mut self, path: &str, mut object: Value) -> Value {
        let current = self.objects.get(path);
        let mut comparable = object.clone();
        for field in ["resourceVersion", "generation"] {
            if let Some(there) = current.and_then(|current| current["metadata"].get(field)) {
                comparable["metadata"][field] = there.clone();
            }
        }
        if let Some(current) = current
            && comparable == *current
        {
            return current.clone();
        }
        self.version += 1;
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!(self.version.to_string());
        if metadata["uid"].is_null() {
            metadata["uid"] = json!(format!("uid-{}", self.version));
        }
        let generation = current.map_or(0, |current| {
            current["metadata"]["generation"].as_i64().unwrap_or(0)
        });
        let same_spec = current.is_some_and(|current| current["spec"] == object["spec"]);
        if !object["spec"].is_null() {
            object["metadata"]["generation"] = json!(generation + i64::from(!same_spec));
        }
        self.objects.insert(path.to_owned(), object.clone());
        object
    }
}

fn failure(code: u16, reason: &str) -> (StatusCode, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason,
    });
    (StatusCode::from_u16(code).unwrap(), status)
}

/// A JSON merge patch.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            if let Value::Object(target) = target {
                target.remove(key);
            }
        } else {
            merge(&mut target[key], value);
        }
    }
}

#[tokio::test]
#[should_panic(expected = "no right to delete  services")]
async fn what_the_roles_do_not_allow_fails_the_test_that_does_it() {
    let services: kube::Api<Service> = kube::Api::namespaced(Api::default().client(), "data");
    let _ = services.delete("b-primary", &DeleteParams::default()).await;
}

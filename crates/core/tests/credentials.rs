//! Passwords stay what they are, whatever happens to one of the Secrets that hold them.
#![allow(clippy::unwrap_used)]

mod common;

use cachebus_core::acl::{files, hashes};
use cachebus_core::bus::Bus;
use cachebus_core::credentials::{
    Credentials, INTERNAL_USERS, Password, StoredSecrets, draw, mounted, settle,
};
use cachebus_core::names::Component;
use common::bus;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SERVICES: [&str; 4] = ["ai-model", "ai_designer", "b", "gateway"];

fn with_services<'a>(services: impl IntoIterator<Item = &'a str>) -> Bus {
    let services: Vec<String> = services
        .into_iter()
        .map(|service| format!("{{name: {service}}}"))
        .collect();
    bus(&format!("services: [{}]", services.join(", ")))
}

/// Settles with passwords that begin with `kind`.
fn settled(bus: &Bus, stored: &StoredSecrets, kind: char) -> Credentials {
    let mut number = 0;
    settle(bus, stored, &mut || {
        number += 1;
        Password::new(format!("{kind}{number:031}"))
    })
}

/// What the Secrets hold once these credentials were written.
fn stored(bus: &Bus, credentials: &Credentials) -> StoredSecrets {
    let of = |users: &[&str]| -> BTreeMap<String, Password> {
        users
            .iter()
            .map(|user| ((*user).to_owned(), credentials.passwords[*user].clone()))
            .collect()
    };
    let services: Vec<&str> = bus
        .spec
        .services
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    let acl = files(bus, credentials);
    StoredSecrets {
        credentials: Some(credentials.passwords.clone()),
        redis_auth: Some(of(mounted(Component::Redis))),
        sentinel_auth: Some(of(mounted(Component::Sentinel))),
        bindings: of(&services),
        hashes: hashes(&acl.redis),
    }
}

/// What becomes of one Secret.
#[derive(Clone, Debug)]
enum Mishap {
    Lost,
    /// Every text in it is this one.
    Edited(String),
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        Just(Mishap::Lost),
        Just(Mishap::Edited(String::new())),
        Just(Mishap::Edited("x".repeat(40))),
        "[a-zA-Z0-9]{32,64}".prop_map(Mishap::Edited),
        "\\PC{0,40}".prop_map(Mishap::Edited),
    ]
}

impl Mishap {
    fn befall(&self, secret: &mut Option<BTreeMap<String, Password>>) {
        match self {
            Self::Lost => *secret = None,
            Self::Edited(text) => {
                for password in secret.iter_mut().flat_map(BTreeMap::values_mut) {
                    *password = Password::new(text.clone());
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_one_secret_may_be_lost_or_edited(
        services in prop::sample::subsequence(&SERVICES[..], 0..=SERVICES.len()),
        which in 0..5,
        mishap in mishap(),
    ) {
        let bus = with_services(services);
        let before = settled(&bus, &StoredSecrets::default(), 'a');
        let mut secrets = stored(&bus, &before);
        match which {
            0 => mishap.befall(&mut secrets.credentials),
            1 => mishap.befall(&mut secrets.redis_auth),
            2 => mishap.befall(&mut secrets.sentinel_auth),
            3 => {
                let mut bindings = Some(secrets.bindings);
                mishap.befall(&mut bindings);
                secrets.bindings = bindings.unwrap_or_default();
            }
            _ => match &mishap {
                Mishap::Lost => secrets.hashes.clear(),
                Mishap::Edited(text) => secrets.hashes.values_mut().for_each(|hash| hash.clone_from(text)),
            },
        }
        prop_assert_eq!(settled(&bus, &secrets, 'z'), before);
    }

    #[test]
    fn a_change_of_services_touches_no_other_user(
        before in prop::sample::subsequence(&SERVICES[..], 0..=SERVICES.len()),
        after in prop::sample::subsequence(&SERVICES[..], 0..=SERVICES.len()),
    ) {
        let (old, new) = (with_services(before.clone()), with_services(after.clone()));
        let first = settled(&old, &StoredSecrets::default(), 'a');
        let mut secrets = stored(&old, &first);
        secrets.bindings.retain(|service, _| after.contains(&service.as_str()));
        let second = settled(&new, &secrets, 'z');

        let users: BTreeSet<&str> = INTERNAL_USERS.into_iter().chain(after).collect();
        prop_assert_eq!(second.passwords.keys().map(String::as_str).collect::<BTreeSet<_>>(), users);
        for (user, password) in &second.passwords {
            match first.passwords.get(user) {
                Some(known) => prop_assert_eq!(password, known),
                None => prop_assert!(password.expose().starts_with('z')),
            }
        }
    }
}

#[test]
fn every_user_gets_a_password_of_its_own() {
    let credentials = settled(&with_services(SERVICES), &StoredSecrets::default(), 'a');
    let distinct: BTreeSet<&str> = credentials
        .passwords
        .values()
        .map(Password::expose)
        .collect();
    assert_eq!(distinct.len(), INTERNAL_USERS.len() + SERVICES.len());
}

#[test]
fn only_what_the_operator_could_have_made_is_a_password() {
    for (text, good) in [
        ("", false),
        ("a".repeat(31).as_str(), false),
        ("a".repeat(32).as_str(), true),
        ("Z9".repeat(64).as_str(), true),
        ("a".repeat(129).as_str(), false),
        ("a a".repeat(12).as_str(), false),
        ("ä".repeat(32).as_str(), false),
        (format!("{}\n", "a".repeat(32)).as_str(), false),
    ] {
        assert_eq!(
            Password::new(text.to_owned()).is_well_formed(),
            good,
            "{text:?}"
        );
    }
}

#[test]
fn a_password_never_shows_in_debug_output() {
    let shown = format!(
        "{:?}",
        settled(&with_services(["b"]), &StoredSecrets::default(), 'a')
    );
    assert!(
        shown.contains("[redacted]") && !shown.contains("a0000"),
        "{shown}"
    );
}

#[test]
fn bytes_that_would_prefer_some_letters_are_passed_over() {
    // Every byte in turn, so that each letter must come up equally often.
    let mut next = 240_u8;
    let drawn = draw(&mut |bytes| {
        for byte in bytes {
            *byte = next;
            next = next.wrapping_add(1);
        }
        Ok::<_, ()>(())
    });
    // 240..248 are letters, 248..256 are passed over, then it begins anew.
    assert_eq!(drawn.unwrap().expose(), "23456789ABCDEFGHIJKLMNOPQRSTUVWX");
}

#[test]
fn without_randomness_there_is_no_password() {
    assert_eq!(draw(&mut |_| Err("none")), Err("none"));
}

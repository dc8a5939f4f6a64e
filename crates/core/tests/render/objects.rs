//! Every object of a bus with the defaults.

use crate::fixture::{
    SERVICES, bus, certificates, credentials, objects, readable, rendered, secret,
};
use cachebus_core::render::secrets;
use cachebus_core::tls::Authority;

#[test]
fn each_object_is_as_it_was_agreed() {
    let bus = bus(SERVICES);
    for (field, object) in objects(&rendered(&bus)) {
        insta::assert_yaml_snapshot!(field, readable(&bus, &object));
    }
}

#[test]
fn what_is_created_once_is_as_it_was_agreed() {
    let bus = bus(SERVICES);
    let authority = certificates().authority;
    let passwords = secrets::credentials(&bus, &credentials(&bus), &authority);
    insta::assert_yaml_snapshot!("credentials", readable(&bus, &secret(&passwords)));
    let own = secrets::authority(&bus, &authority).unwrap();
    insta::assert_yaml_snapshot!("authority", secret(&own));
}

#[test]
fn nothing_is_stored_of_an_authority_whose_key_is_lost() {
    let bus = bus(SERVICES);
    let lost = Authority::Lost {
        certificate: certificates().authority.certificate().to_owned(),
    };
    assert_eq!(secrets::authority(&bus, &lost), None);
    let passwords = secrets::credentials(&bus, &credentials(&bus), &lost);
    let users: Vec<String> = passwords.data.unwrap().into_keys().collect();
    let expected: Vec<String> = credentials(&bus).passwords.into_keys().collect();
    assert_eq!(users, expected);
}

//! Every object of a bus with the defaults.

use crate::fixture::{
    SERVICES, bus, certificates, credentials, objects, readable, rendered, secret,
};
use cachebus_core::render::secrets;

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
    let passwords = secrets::credentials(&bus, &credentials(&bus));
    insta::assert_yaml_snapshot!("credentials", readable(&bus, &secret(&passwords)));
    let authority = secrets::authority(&bus, &certificates().authority);
    insta::assert_yaml_snapshot!("authority", secret(&authority));
}

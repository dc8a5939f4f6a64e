//! The ports of a component by the bus's TLS mode.

use crate::bus::Bus;
use crate::names::Component;
use cachebus_api::settings::TlsMode;

/// The port that the bus itself and every binding use: TLS, unless the mode is `Disabled`.
#[must_use]
pub fn port(bus: &Bus, component: Component) -> u16 {
    match component {
        Component::Redis => bus.spec.port,
        Component::Sentinel => bus.spec.sentinel.port,
    }
}

/// The port for plain text besides, which only the mode `Optional` has.
#[must_use]
pub fn plaintext_port(bus: &Bus, component: Component) -> Option<u16> {
    let tls = &bus.spec.tls;
    (tls.mode == TlsMode::Optional).then_some(match component {
        Component::Redis => tls.plaintext_port,
        Component::Sentinel => tls.sentinel_plaintext_port,
    })
}

/// Values of `port` and `tls-port`; 0: no such port.
pub(super) fn listeners(bus: &Bus, component: Component) -> (u16, u16) {
    let main = port(bus, component);
    match bus.spec.tls.mode {
        TlsMode::Disabled => (main, 0),
        TlsMode::Required | TlsMode::Optional => {
            (plaintext_port(bus, component).unwrap_or(0), main)
        }
    }
}

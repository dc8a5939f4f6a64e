//! Writing figures down.

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use std::fmt;

/// Labels of one figure.
pub(super) type Labels = Vec<(&'static str, String)>;

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up; `_total` is added to its name.
    Counter,
    /// Only goes up, and its whole name is given: beside a gauge of the same name without `_total`, which the format does
    /// not allow a counter to have.
    CountedBesideGauge,
}

/// Where figures are written.
pub(super) struct Page<'a>(DescriptorEncoder<'a>);

impl<'a> Page<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// One figure without labels.
    pub(super) fn one(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        value: f64,
    ) -> Result<(), fmt::Error> {
        let mut encoder = self.0.encode_descriptor(name, help, None, kind.into())?;
        match kind {
            Kind::Counter => encoder.encode_counter(&value, NO_EXEMPLAR),
            Kind::Gauge | Kind::CountedBesideGauge => encoder.encode_gauge(&value),
        }
    }

    /// One figure for each set of labels.
    pub(super) fn each(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, f64)>,
    ) -> Result<(), fmt::Error> {
        let mut encoder = self.0.encode_descriptor(name, help, None, kind.into())?;
        for (labels, value) in values {
            let mut encoder = encoder.encode_family(&labels)?;
            match kind {
                Kind::Counter => encoder.encode_counter(&value, NO_EXEMPLAR)?,
                Kind::Gauge | Kind::CountedBesideGauge => encoder.encode_gauge(&value)?,
            }
        }
        Ok(())
    }
}

const NO_EXEMPLAR: Option<&Exemplar<Labels, f64>> = None;

impl From<Kind> for MetricType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Gauge => Self::Gauge,
            Kind::Counter => Self::Counter,
            Kind::CountedBesideGauge => Self::Unknown,
        }
    }
}

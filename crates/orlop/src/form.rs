//! How layers are written: their compression, and the algorithm that names them.

use orlop_layer::Entries;
use orlop_layer::codec::Codec;
use orlop_layer::encode::{Encode, Encoded, encode};
use orlop_spec::port::{Result, Sink};
use orlop_spec::{Algorithm, Context, Event};

/// How layers are written.
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// How layers are compressed.
    pub codec: Codec,
    /// How everything is named.
    pub algorithm: Algorithm,
}

impl Form {
    /// For the encoder; `progress` is told how many uncompressed bytes were made.
    pub(crate) fn encode<'a>(&self, cx: &Context<'a>, progress: &'a (dyn Fn(u64) + Sync)) -> Encode<'a> {
        let Self { codec, algorithm } = *self;
        Encode { codec, algorithm, workers: cx.workers, limits: cx.limits, cancel: cx.cancel, progress }
    }

    /// Writes entries as a layer into `to`, and tells of it as of `item` in a phase.
    pub(crate) fn put(
        &self,
        cx: &Context<'_>,
        (phase, item): (&'static str, &str),
        entries: &mut dyn Entries,
        to: &dyn Sink,
    ) -> Result<Encoded> {
        let item = item.to_owned();
        cx.observer.event(Event::Started { phase, item: item.clone(), total: None });
        let progress = |bytes| cx.observer.event(Event::Advanced { item: item.clone(), bytes });
        let how = self.encode(cx, &progress);
        let mut out = to.begin(&how.hints())?;
        let encoded = encode(entries, &how, &mut out)?;
        out.commit(&encoded.blob)?;
        cx.observer.event(Event::Finished { item: item.clone() });
        Ok(encoded)
    }
}

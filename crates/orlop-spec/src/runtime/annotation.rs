//! What of an image's config becomes an annotation of the container (image-spec, `conversion.md`).
//!
//! Annotations of the manifest are not taken: they are not part of what the image id names.

use super::Labels;
use crate::config::Config;
use crate::descriptor::Annotations;

/// How annotations begin that crun, runc, Kata and shims for WebAssembly do not only store.
const OBEYED: [&str; 5] =
    ["run.oci.", "org.systemd.property.", "org.criu.", "io.katacontainers.", "module.wasm.image/"];

/// Fields of the config under their names, then the labels, which win.
pub(super) fn of(image: &Config, labels: Labels) -> Annotations {
    let execution = image.config.as_ref();
    let listed = |words: Vec<&str>| Some(words.join(",")).filter(|list| !list.is_empty());
    let owned = |text: &Option<Box<str>>| text.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
    let fields = [
        ("os", Some(image.os.to_string())),
        ("architecture", Some(image.architecture.to_string())),
        ("variant", owned(&image.variant)),
        ("os.version", owned(&image.os_version)),
        ("os.features", listed(image.os_features.iter().map(|feature| &**feature).collect())),
        ("author", owned(&image.author)),
        ("created", owned(&image.created)),
        ("stopSignal", execution.and_then(|execution| owned(&execution.stop_signal))),
        (
            "exposedPorts",
            execution
                .and_then(|execution| listed(execution.exposed_ports.keys().map(|port| &**port).collect())),
        ),
    ];
    let named = |(name, value): (&str, Option<String>)| {
        value.map(|value| (format!("org.opencontainers.image.{name}").into(), value.into()))
    };
    let labelled = execution.filter(|_| labels == Labels::Annotations);
    let labels = labelled.into_iter().flat_map(|execution| execution.labels.clone());
    fields.into_iter().filter_map(named).chain(labels.filter(|(name, _)| !name.is_empty())).collect()
}

/// The labels that become annotations and are obeyed.
pub(super) fn obeyed(image: &Config, labels: Labels) -> Vec<Box<str>> {
    let execution = image.config.as_ref().filter(|_| labels == Labels::Annotations);
    let names = execution.into_iter().flat_map(|execution| execution.labels.keys());
    names.filter(|name| OBEYED.iter().any(|word| name.starts_with(word))).cloned().collect()
}

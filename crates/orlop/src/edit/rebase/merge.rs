//! The config of an image on another base: three configs become one.
//!
//! Law: where both bases say the same, the image says what it said; where the image says what the old base says, it says
//! what the new one says.

use orlop_spec::config::{Config, Execution};
use std::collections::BTreeMap;
use std::hash::Hash;

/// The config of `image`, which was made on `old`, on `new`. Layers and history are not looked at.
pub(super) fn merged(old: &Config, image: &Config, new: &Config) -> Config {
    let none = Execution::default();
    let execution = |config: &Config| config.config.clone().unwrap_or_default();
    let config = execute(&execution(old), &execution(image), &execution(new));
    Config {
        created: either(&old.created, &image.created, &new.created),
        author: either(&old.author, &image.author, &new.author),
        architecture: new.architecture.clone(),
        os: new.os.clone(),
        os_version: new.os_version.clone(),
        os_features: new.os_features.clone(),
        variant: new.variant.clone(),
        config: if image.config.is_none() && config == none { None } else { Some(config) },
        rootfs: image.rootfs.clone(),
        history: image.history.clone(),
        extra: by_key(&old.extra, &image.extra, &new.extra),
    }
}

fn execute(old: &Execution, image: &Execution, new: &Execution) -> Execution {
    let entrypoint = either(&old.entrypoint, &image.entrypoint, &new.entrypoint);
    // Who sets an entrypoint says what it is called with: an inherited second part is not meant for it.
    let cmd = if image.entrypoint == old.entrypoint {
        either(&old.cmd, &image.cmd, &new.cmd)
    } else {
        image.cmd.clone()
    };
    Execution {
        user: either(&old.user, &image.user, &new.user),
        exposed_ports: by_key(&old.exposed_ports, &image.exposed_ports, &new.exposed_ports),
        env: environment(&old.env, &image.env, &new.env),
        entrypoint,
        cmd,
        volumes: by_key(&old.volumes, &image.volumes, &new.volumes),
        working_dir: either(&old.working_dir, &image.working_dir, &new.working_dir),
        labels: by_key(&old.labels, &image.labels, &new.labels),
        stop_signal: either(&old.stop_signal, &image.stop_signal, &new.stop_signal),
        healthcheck: either(&old.healthcheck, &image.healthcheck, &new.healthcheck),
        on_build: either(&old.on_build, &image.on_build, &new.on_build),
        extra: by_key(&old.extra, &image.extra, &new.extra),
    }
}

/// A value as a whole.
fn either<T: PartialEq + Clone>(old: &T, image: &T, new: &T) -> T {
    if image == old { new.clone() } else { image.clone() }
}

/// Key by key; a key that one of them lacks is a value too.
pub(super) fn by_key<M, K, V>(old: &M, image: &M, new: &M) -> M
where
    M: Clone + PartialEq + FromIterator<(K, V)>,
    for<'m> &'m M: IntoIterator<Item = (&'m K, &'m V)>,
    K: Ord + Clone + Hash,
    V: PartialEq + Clone,
{
    if old == new {
        return image.clone();
    }
    let find =
        |map: &M, key: &K| map.into_iter().find(|(other, _)| *other == key).map(|(_, value)| value.clone());
    // What the image has keeps its place; what only the new base has comes behind.
    let mut keys: Vec<K> = image.into_iter().map(|(key, _)| key.clone()).collect();
    keys.extend(new.into_iter().map(|(key, _)| key.clone()).filter(|key| find(image, key).is_none()));
    let value = |key: K| {
        let value = either(&find(old, &key), &find(image, &key), &find(new, &key))?;
        Some((key, value))
    };
    keys.into_iter().filter_map(value).collect()
}

/// Variables by name; those of the new base come first, in its order, as those of a base do.
fn environment(old: &[Box<str>], image: &[Box<str>], new: &[Box<str>]) -> Vec<Box<str>> {
    if old == new {
        return image.to_vec();
    }
    let name = |entry: &str| entry.split_once('=').map_or(entry, |(name, _)| name).to_owned();
    let map = |entries: &[Box<str>]| -> BTreeMap<String, Box<str>> {
        entries.iter().map(|entry| (name(entry), entry.clone())).collect()
    };
    let merged = by_key(&map(old), &map(image), &map(new));
    let mut names: Vec<String> = Vec::new();
    for entry in new.iter().chain(image) {
        let name = name(entry);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.iter().filter_map(|name| merged.get(name).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        orlop_spec::json::parse(json.as_bytes()).expect("a config")
    }

    fn of(execution: &str) -> Config {
        config(&format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}},"config":{execution}}}"#
        ))
    }

    #[test]
    fn what_the_image_has_as_the_old_base_comes_from_the_new_one_and_the_rest_is_its_own() {
        let old = of(
            r#"{"User":"0","Env":["PATH=/bin","A=1","GONE=1"],"Labels":{"v":"1","x":"y"},"Cmd":["sh"],"WorkingDir":"/"}"#,
        );
        let image = of(
            r#"{"User":"app","Env":["PATH=/app:/bin","A=1","GONE=1","OWN=o"],"Labels":{"v":"1","own":"o"},"Cmd":["sh"],"WorkingDir":"/"}"#,
        );
        let new = of(
            r#"{"User":"9","Env":["NEW=n","PATH=/sbin","A=2"],"Labels":{"v":"2","x":"z","n":"n"},"Cmd":["bash"],"StopSignal":"SIGINT"}"#,
        );
        let merged = merged(&old, &image, &new).config.expect("there");
        assert_eq!(merged.user.as_deref(), Some("app"));
        assert_eq!(merged.env, ["NEW=n", "PATH=/app:/bin", "A=2", "OWN=o"].map(Box::from));
        // A label that the image took away stays away.
        let labels: Vec<_> = merged.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(labels, ["n=n", "own=o", "v=2"]);
        assert_eq!(merged.cmd, Some(vec!["bash".into()]));
        assert_eq!(merged.working_dir, None);
        assert_eq!(merged.stop_signal.as_deref(), Some("SIGINT"));
    }

    #[test]
    fn an_entrypoint_of_the_images_own_is_called_as_the_image_says() {
        let (old, new) = (of("{}"), of(r#"{"Cmd":["bash"]}"#));
        let image = of(r#"{"Entrypoint":["/app"]}"#);
        assert_eq!(merged(&old, &image, &new).config.expect("there").cmd, None);
    }

    #[test]
    fn on_a_base_that_says_the_same_nothing_changes() {
        let base = of(r#"{"Env":["B=1","A=1"],"Labels":{"a":"b"}}"#);
        for image in
            [of(r#"{"Env":["A=1","C=1"],"Cmd":["x"],"Unknown":{"z":1,"a":2}}"#), of("null"), of("{}")]
        {
            assert_eq!(merged(&base, &image, &base), image);
        }
    }

    #[test]
    fn an_image_that_says_nothing_of_its_own_says_what_the_new_base_says() {
        let old = of(r#"{"Env":["B=1","A=1"],"Labels":{"a":"b"},"X":1}"#);
        let new = of(r#"{"Env":["A=2","C=1"],"User":"1","Y":2}"#);
        assert_eq!(merged(&old, &old, &new), new);
    }
}

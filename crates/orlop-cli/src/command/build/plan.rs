//! Which sources become which image.

use crate::environment;
use crate::error::Error;
use crate::flags::{Image as Place, Places, platform};
use orlop::build::{Base, Input};
use orlop::image::Image;
use orlop::layer::path::escape;
use orlop::spec::port::Catalog;
use orlop::spec::{Context, Fault, Platform};
use orlop::trees::{Reading, TreeSource};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::str::FromStr;

/// `PLATFORM` or `PLATFORM=SRC[,SRC]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForPlatform {
    platform: Platform,
    sources: Vec<OsString>,
}

impl FromStr for ForPlatform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, sources) = match text.split_once('=') {
            Some((name, sources)) => (name, sources.split(',').map(OsString::from).collect()),
            None => (text, Vec::new()),
        };
        if sources.iter().any(|source| source.is_empty()) {
            return Err("a source is empty".into());
        }
        Ok(Self { platform: platform(name)?, sources })
    }
}

/// The images to build, by the words of the command line.
pub struct Plan<'a> {
    images: Vec<(Option<&'a Platform>, &'a [OsString])>,
    base: Option<&'a OsStr>,
}

impl<'a> Plan<'a> {
    /// The plan, and the word that names the target.
    pub fn new(
        words: &'a [OsString],
        platforms: &'a [ForPlatform],
        base: Option<&'a OsStr>,
    ) -> Result<(Self, &'a OsStr), Error> {
        let (target, sources) = words.split_last().ok_or(Error::NoSource)?;
        let images: Vec<_> = match platforms {
            [] => vec![(None, sources)],
            [one] if one.sources.is_empty() => vec![(Some(&one.platform), sources)],
            several if sources.is_empty() => {
                several.iter().map(|it| (Some(&it.platform), it.sources.as_slice())).collect()
            }
            _ => return Err(Error::SourcesTwice),
        };
        let twice = platforms
            .iter()
            .enumerate()
            .find(|(at, one)| platforms[..*at].iter().any(|other| other.platform == one.platform));
        if let Some((_, again)) = twice {
            return Err(Error::PlatformTwice(again.platform.clone().into()));
        }
        if base.is_none() && images.iter().any(|(_, sources)| sources.is_empty()) {
            return Err(Error::NoSource);
        }
        Ok((Self { images, base }, target))
    }

    /// Opens what the plan names.
    pub fn prepare<'p>(&self, places: &'p Places, cx: &Context<'p>) -> Result<Vec<Prepared<'p>>, Fault> {
        let prepare = |(platform, sources): &(Option<&Platform>, &[OsString])| {
            let tree = |text: &OsString| Ok((escape(text.as_bytes()), places.open_tree(text, cx)?));
            Ok(Prepared {
                platform: platform.cloned(),
                base: self.base.map(|base| places.open(base, cx)).transpose()?,
                trees: sources.iter().map(tree).collect::<Result<_, Fault>>()?,
            })
        };
        self.images.iter().map(prepare).collect()
    }
}

/// What one image is made of, open.
pub struct Prepared<'p> {
    platform: Option<Platform>,
    base: Option<Place<'p>>,
    trees: Vec<(String, Box<dyn TreeSource>)>,
}

impl Prepared<'_> {
    /// The base, for the platform that was asked for.
    pub fn base(&self, cx: &Context<'_>) -> Result<Option<Base<'_>>, Fault> {
        let wanted = self.platform.clone().unwrap_or_else(environment::host);
        let Some(base) = &self.base else { return Ok(None) };
        let image = Image::fetch(cx, base.source(), base.selector(), &wanted)?;
        Ok(Some(Base { image, name: base.name_for_all() }))
    }

    /// The place of the base.
    pub fn catalog(&self) -> Option<&dyn Catalog> {
        self.base.as_ref().map(Place::catalog)
    }

    /// The platform of the result.
    pub fn platform_on(&self, base: Option<&Image<'_>>) -> Platform {
        let said = self.platform.clone();
        said.or_else(|| base.map(Image::platform)).unwrap_or_else(environment::host)
    }

    /// The layers to be.
    pub fn inputs<'a>(&'a self, cx: &Context<'a>, how: &'a Reading) -> Result<Vec<Input<'a>>, Fault> {
        let input = |(name, tree): &'a (String, Box<dyn TreeSource>)| {
            Ok(Input::new(name.clone(), tree.entries(cx, how)?))
        };
        self.trees.iter().map(input).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(words: &[&str], platforms: &[&str], base: Option<&str>) -> Result<Vec<usize>, Error> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let platforms: Vec<ForPlatform> =
            platforms.iter().map(|text| text.parse().expect("a platform")).collect();
        let (plan, target) = Plan::new(&words, &platforms, base.map(OsStr::new))?;
        assert_eq!(target, "oci:x");
        Ok(plan.images.iter().map(|(_, sources)| sources.len()).collect())
    }

    #[test]
    fn sources_belong_to_one_image_or_to_platforms() {
        assert_eq!(plan(&["a", "b", "oci:x"], &[], None).ok(), Some(vec![2]));
        assert_eq!(plan(&["a", "oci:x"], &["linux/arm64"], None).ok(), Some(vec![1]));
        assert_eq!(plan(&["oci:x"], &["linux/arm64=a,b", "linux/amd64=c"], None).ok(), Some(vec![2, 1]));
        assert_eq!(plan(&["oci:x"], &[], Some("oci:base")).ok(), Some(vec![0]));
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        assert!(matches!(plan(&["oci:x"], &[], None), Err(Error::NoSource)));
        assert!(matches!(plan(&["oci:x"], &["linux/arm64"], None), Err(Error::NoSource)));
        assert!(matches!(plan(&["a", "oci:x"], &["linux/arm64=b"], None), Err(Error::SourcesTwice)));
        assert!(matches!(
            plan(&["a", "oci:x"], &["linux/arm64", "linux/amd64"], None),
            Err(Error::SourcesTwice)
        ));
        assert!(matches!(
            plan(&["oci:x"], &["linux/arm64=a", "linux/arm64/v8=b"], None),
            Err(Error::PlatformTwice(_))
        ));
        assert!("linux/arm64=a,,b".parse::<ForPlatform>().is_err());
    }
}

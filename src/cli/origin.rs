//! Where each setting's value comes from, so that a message can name the place to mend.

use std::path::PathBuf;

use super::setting::Setting;

/// Where a setting's value comes from. Flags win over the environment, the environment over the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag(String),
    /// A variable of the environment.
    Environment(String),
    /// The settings file.
    File(PathBuf),
    /// Nobody said anything.
    Default,
}

impl Origin {
    /// The word of its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "flag",
            Self::Environment(_) => "environment",
            Self::File(_) => "file",
            Self::Default => "default",
        }
    }

    /// Which one exactly, as a phrase.
    pub fn place(&self) -> String {
        match self {
            Self::Flag(flag) => format!("the flag --{flag}"),
            Self::Environment(variable) => format!("the environment variable {variable}"),
            Self::File(path) => format!("the settings file {}", path.display()),
            Self::Default => "the default".to_owned(),
        }
    }
}

/// Where each comes from, in the order of the list of settings.
#[derive(Debug, Default)]
pub struct Origins(pub Vec<(&'static Setting, Origin)>);

impl Origins {
    /// Where the setting of this flag comes from.
    pub fn of(&self, flag: &str) -> &Origin {
        self.0.iter().find(|(setting, _)| setting.flag == flag).map_or(&Origin::Default, |(_, origin)| origin)
    }
}

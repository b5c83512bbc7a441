//! The sink kinds that are linked into this program.

use std::collections::BTreeMap;
use std::fmt;

use schemars::Schema;
use serde_json::{Map, Value};

use crate::schema::value_problem;
use crate::{BuildContext, SinkConfig, SinkError, TokenSink};

type BuiltSinks = Result<Vec<Box<dyn TokenSink>>, Vec<SinkError>>;

/// The registration of a sink kind. A plugin submits it with one line:
/// `inventory::submit! { SinkFactory::of::<MyConfig>() }`.
pub struct SinkFactory {
    kind: &'static str,
    summary: &'static str,
    permissions: &'static str,
    takes_effect: &'static str,
    example: &'static str,
    crate_name: fn() -> &'static str,
    schema: fn() -> Schema,
    build: fn(Map<String, Value>, &BuildContext) -> BuiltSinks,
}

inventory::collect!(SinkFactory);

impl SinkFactory {
    /// Creates the factory for the sinks of `C`.
    pub const fn of<C: SinkConfig + 'static>() -> Self {
        Self {
            kind: C::KIND,
            summary: C::SUMMARY,
            permissions: C::PERMISSIONS,
            takes_effect: C::TAKES_EFFECT,
            example: C::EXAMPLE,
            crate_name: crate_of::<C>,
            schema: || schemars::schema_for!(C),
            build: build::<C>,
        }
    }

    /// Returns the value of `kind` that selects this factory.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Returns [`SinkConfig::SUMMARY`].
    pub fn summary(&self) -> &'static str {
        self.summary
    }

    /// Returns [`SinkConfig::PERMISSIONS`].
    pub fn permissions(&self) -> &'static str {
        self.permissions
    }

    /// Returns [`SinkConfig::TAKES_EFFECT`].
    pub fn takes_effect(&self) -> &'static str {
        self.takes_effect
    }

    /// Returns [`SinkConfig::EXAMPLE`].
    pub fn example(&self) -> &'static str {
        self.example
    }

    /// Returns the options of a table of this kind, in the order of their declaration.
    pub fn options(&self) -> Vec<OptionDescription> {
        let schema = (self.schema)();
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return Vec::new();
        };
        properties
            .iter()
            .map(|(name, property)| OptionDescription {
                name: name.clone(),
                required: required.contains(&name.as_str()),
                help: property
                    .get("description")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
            })
            .collect()
    }

    /// Builds the sinks of one table. `table` must not contain the options that every table may have.
    ///
    /// # Errors
    ///
    /// All unknown and all missing options by name; else the first value of a wrong type; else the
    /// errors of the plugin itself.
    pub fn build(&self, table: Map<String, Value>, context: &BuildContext) -> BuiltSinks {
        let errors = self.unknown_and_missing_options(&table);
        if errors.is_empty() { (self.build)(table, context) } else { Err(errors) }
    }

    fn unknown_and_missing_options(&self, table: &Map<String, Value>) -> Vec<SinkError> {
        let options = self.options();
        let known: Vec<&str> = options.iter().map(|option| option.name.as_str()).collect();
        let unknown = table.keys().filter(|name| !known.contains(&name.as_str())).map(|name| {
            SinkError::config(format!("unknown option `{name}`"))
                .for_option(name)
                .with_help(format!("the options of {} are: {}", self.kind, known.join(", ")))
        });
        let missing = options
            .iter()
            .filter(|option| option.required && !table.contains_key(&option.name))
            .map(|option| {
                SinkError::config(format!("missing option `{}`", option.name))
                    .for_option(&option.name)
                    .with_help(option.help.lines().next().unwrap_or_default().to_owned())
            });
        unknown.chain(missing).collect()
    }
}

impl fmt::Debug for SinkFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkFactory").field("kind", &self.kind).finish_non_exhaustive()
    }
}

fn build<C: SinkConfig>(table: Map<String, Value>, context: &BuildContext) -> BuiltSinks {
    let table = Value::Object(table);
    // `&table` keeps the table for the error message.
    let config: C = serde_path_to_error::deserialize(&table).map_err(|error| {
        let option = error.path().to_string();
        let schema = schemars::schema_for!(C);
        let problem = value_problem(&table, schema.as_value(), error.path())
            .unwrap_or_else(|| error.inner().to_string());
        vec![SinkError::config(format!("option `{option}`: {problem}")).for_option(&option)]
    })?;
    let sinks = config.build(context)?;
    Ok(sinks.into_iter().map(|sink| Box::new(sink) as Box<dyn TokenSink>).collect())
}

fn crate_of<C>() -> &'static str {
    let path = std::any::type_name::<C>();
    path.split("::").next().unwrap_or(path)
}

/// An option of a sink kind, for `tokensink sinks KIND`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionDescription {
    /// The option's name in the table.
    pub name: String,
    /// Whether a table without the option is rejected.
    pub required: bool,
    /// The doc comment of the config's field.
    pub help: String,
}

/// All linked sink kinds, by name.
#[derive(Debug)]
pub struct Registry(BTreeMap<&'static str, &'static SinkFactory>);

/// The error for two plugins of the same kind.
#[derive(Debug, thiserror::Error)]
#[error("two plugins are linked for the sink kind `{kind}`: {first} and {second}; link only one")]
pub struct RegistryError {
    kind: &'static str,
    first: &'static str,
    second: &'static str,
}

impl Registry {
    /// Returns the sink kinds that are linked into this program.
    ///
    /// # Errors
    ///
    /// When two plugins have the same kind.
    pub fn linked() -> Result<Self, RegistryError> {
        Self::from_factories(inventory::iter::<SinkFactory>)
    }

    fn from_factories(
        factories: impl IntoIterator<Item = &'static SinkFactory>,
    ) -> Result<Self, RegistryError> {
        let mut kinds: BTreeMap<&'static str, &'static SinkFactory> = BTreeMap::new();
        for factory in factories {
            if let Some(other) = kinds.insert(factory.kind, factory) {
                // The linker does not define an order, and the message must not depend on the build.
                let mut names = [(other.crate_name)(), (factory.crate_name)()];
                names.sort_unstable();
                return Err(RegistryError {
                    kind: factory.kind,
                    first: names[0],
                    second: names[1],
                });
            }
        }
        Ok(Self(kinds))
    }

    /// Returns the factory of `kind`, if it is linked.
    pub fn get(&self, kind: &str) -> Option<&'static SinkFactory> {
        self.0.get(kind).copied()
    }

    /// Returns all factories, sorted by kind.
    pub fn iter(&self) -> impl Iterator<Item = &'static SinkFactory> {
        self.0.values().copied()
    }

    /// Returns all kinds, sorted.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

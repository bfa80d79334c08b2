//! Whole pickled modules (`torch.save(model)`): their weights, named as by `state_dict()`.
//!
//! A pickled module consists of the name of its class and its `__dict__`. The entries
//! `_parameters`, `_buffers`, `_modules` and `_non_persistent_buffers_set` are plain containers,
//! and nothing else is needed. The class, which would define the architecture, is not imported.

use std::collections::{HashMap, HashSet};

use super::value::{Dict, Graph, Id, Value};
use super::{Checkpoint, STATE_DICT_ADVICE};
use crate::error::{Error, Result};

/// The depth of nested modules. Transformers have about ten levels.
const MAX_DEPTH: usize = 100;

/// The number of named modules, parameters and buffers. Modules that share others can give a few
/// objects any number of names.
const MAX_NAMES: usize = 1 << 18;

/// The total size of all names in bytes.
const MAX_NAME_BYTES: usize = 64 << 20;

/// The hook that `torch.nn.utils.spectral_norm` registers. It adds a version to the metadata and
/// does not rename anything.
const HARMLESS_HOOK: &str = "torch.nn.utils.spectral_norm.SpectralNormStateDictHook";

/// The entries of a module's `__dict__` that are used.
#[derive(Clone, Copy)]
struct Parts {
    parameters: Id,
    buffers: Id,
    children: Id,
    /// Names of buffers that `state_dict()` leaves out.
    transient: Option<Id>,
    /// Whether user-defined functions change what `state_dict()` returns.
    hooked: bool,
}

/// The weights of a module.
pub(super) struct Weights {
    /// Names and values in the order of `state_dict()`.
    pub(super) entries: Vec<(String, Id)>,
    /// Whether a module has hooks that might rename them; they were not run.
    pub(super) hooked: bool,
}

/// The modules of a file. Results for an object are cached, because objects may share their
/// content.
pub(super) struct Modules<'a> {
    file: &'a Checkpoint,
    /// Keyed by the `__dict__`.
    parts: HashMap<Id, Option<Parts>>,
}

impl<'a> Modules<'a> {
    pub(super) fn new(file: &'a Checkpoint) -> Self {
        Self { file, parts: HashMap::new() }
    }

    fn graph(&self) -> &'a Graph {
        self.file.graph()
    }

    /// Whether the object is a module.
    pub(super) fn has(&mut self, id: Id) -> bool {
        self.parts(id).is_some()
    }

    fn parts(&mut self, id: Id) -> Option<Parts> {
        let state = self.graph().state(id)?;
        if let Some(&known) = self.parts.get(&state) {
            return known;
        }
        let parts = self.read_parts(self.graph().dict(state)?);
        self.parts.insert(state, parts);
        parts
    }

    fn read_parts(&self, state: &Dict) -> Option<Parts> {
        let graph = self.graph();
        let mut found = HashMap::new();
        for &(key, value) in &state.items {
            if let Some(key) = graph.text(key) {
                found.insert(key, value);
            }
        }
        let container = |name: &str| found.get(name).copied().filter(|&id| graph.dict(id).is_some());
        let hooked = ["_state_dict_hooks", "_state_dict_pre_hooks"].iter().any(|name| {
            let hooks = container(name).and_then(|id| graph.dict(id));
            hooks.is_some_and(|hooks| {
                hooks.items.iter().any(|&(_, hook)| graph.refused(hook) != Some(HARMLESS_HOOK))
            })
        });
        Some(Parts {
            parameters: container("_parameters")?,
            buffers: container("_buffers")?,
            children: container("_modules")?,
            transient: found.get("_non_persistent_buffers_set").copied(),
            hooked,
        })
    }

    /// Whether the module or one of its submodules has a tensor.
    pub(super) fn has_tensors(&mut self, module: Id) -> bool {
        // Each container is searched once, even if several modules share it.
        let mut seen = HashSet::new();
        let mut waiting = vec![module];
        while let Some(parts) = waiting.pop().map(|module| self.parts(module)) {
            let Some(parts) = parts else { continue };
            for id in [parts.parameters, parts.buffers] {
                let tensor =
                    |value| matches!(self.graph().get(value), Value::Tensor(_) | Value::Unreadable(_));
                if seen.insert(id) && self.values(id).any(tensor) {
                    return true;
                }
            }
            if seen.insert(parts.children) {
                waiting.extend(self.values(parts.children));
            }
        }
        false
    }

    fn values(&self, dict: Id) -> impl Iterator<Item = Id> + use<'a> {
        self.graph().dict(dict).into_iter().flat_map(|dict| dict.items.iter().map(|&(_, value)| value))
    }

    /// The weights of a module, as in its `state_dict()`.
    ///
    /// # Errors
    /// [`Error::RefusedGlobal`] for an object among the modules that is not a module,
    /// [`Error::NoStateDict`] for any other value there, [`Error::FileLimit`].
    pub(super) fn weights(&mut self, path: &[String], module: Id) -> Result<Weights> {
        let mut weights = Weights { entries: Vec::new(), hooked: false };
        let mut count = 0;
        let mut bytes = 0;
        // A stack of dotted prefixes, modules and depths; children are pushed in reverse order.
        let mut waiting = vec![(String::new(), module, 0)];
        while let Some((prefix, module, depth)) = waiting.pop() {
            if depth > MAX_DEPTH {
                return Err(self.limit("modules in modules", MAX_DEPTH));
            }
            let Some(parts) = self.parts(module) else {
                return Err(self.no_module(path, &prefix, module));
            };
            weights.hooked |= parts.hooked;
            let transient = self.transient(parts);
            count += transient.len();
            let mut named = |name: &str| -> Result<String> {
                count += 1;
                bytes += prefix.len() + name.len();
                if count > MAX_NAMES {
                    return Err(self.limit("modules, parameters and buffers", MAX_NAMES));
                }
                if bytes > MAX_NAME_BYTES {
                    return Err(self.limit("bytes of their names", MAX_NAME_BYTES));
                }
                Ok(format!("{prefix}{name}"))
            };
            for (container, skipped) in [(parts.parameters, &HashSet::new()), (parts.buffers, &transient)] {
                for (name, value) in self.items(path, container)? {
                    let name_in_full = named(name)?;
                    if self.graph().get(value) != &Value::None && !skipped.contains(name) {
                        weights.entries.push((name_in_full, value));
                    }
                }
            }
            let start = waiting.len();
            for (name, child) in self.items(path, parts.children)? {
                let name_in_full = named(name)?;
                if self.graph().get(child) != &Value::None {
                    waiting.push((name_in_full + ".", child, depth + 1));
                }
            }
            waiting[start..].reverse();
        }
        Ok(weights)
    }

    /// A container's names and values. If a name occurs twice, the last value is used at the
    /// position of the first.
    fn items(&self, path: &[String], dict: Id) -> Result<Vec<(&'a str, Id)>> {
        let mut index = HashMap::new();
        let mut items: Vec<(&str, Id)> = Vec::new();
        for &(key, value) in self.graph().dict(dict).map_or(&[][..], |dict| &dict.items) {
            let Some(name) = self.graph().text(key) else {
                let what = format!("a module in {} has a part without a name", place(path));
                return Err(self.file.no_state_dict(what, STATE_DICT_ADVICE));
            };
            if let Some(&at) = index.get(name) {
                let item: &mut (&str, Id) = &mut items[at];
                item.1 = value;
            } else {
                index.insert(name, items.len());
                items.push((name, value));
            }
        }
        Ok(items)
    }

    fn transient(&self, parts: Parts) -> HashSet<&'a str> {
        let items = match parts.transient.map(|id| self.graph().get(id)) {
            Some(Value::Set(items) | Value::List(items) | Value::Tuple(items)) => items.as_slice(),
            _ => &[],
        };
        items.iter().filter_map(|&item| self.graph().text(item)).collect()
    }

    fn no_module(&self, path: &[String], prefix: &str, id: Id) -> Error {
        let what = format!("module `{}` in {}", prefix.trim_end_matches('.'), place(path));
        if let Some(global) = self.graph().refused(id) {
            return self.file.refuse(what, global, STATE_DICT_ADVICE);
        }
        let found = format!("{what} is {}, no module", self.graph().describe(id));
        self.file.no_state_dict(found, STATE_DICT_ADVICE)
    }

    fn limit(&self, what: &str, limit: usize) -> Error {
        Error::FileLimit {
            path: self.file.path().to_owned(),
            what: what.to_owned(),
            found: "more, or without end".into(),
            limit: limit.to_string(),
        }
    }
}

/// The place in a file of the object that these keys lead to, for messages.
pub(super) fn place(path: &[String]) -> String {
    if path.is_empty() { "the whole file".to_owned() } else { format!("entry `{}`", path.join(".")) }
}

//! A graph with the plans and workspaces that its runs share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::exec::Workspace;
use super::settings::Settings;
use super::weights::Epilogues;
use super::{Plan, Profile};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::tensor::Shape;
use crate::threads::{self, Pool};

/// Cached plans for the most recent shapes. A plan is cheap to rebuild (its packed weights stay on
/// the parameters), so few are enough, and thousands of shapes take no more memory than these.
const PLANS: usize = 8;

/// Idle workspaces that are kept: one per concurrent caller, within reason.
const WORKSPACES: usize = 8;

/// The key of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    inputs: Vec<Shape>,
    chosen_for: Vec<Shape>,
    settings: Settings,
    threads: usize,
}

/// The memory of finished runs, for reuse. Networks that do not run concurrently, such as one
/// network traced for several sizes, together need only the memory of the largest.
#[derive(Default)]
pub struct Workspaces(Mutex<Vec<Workspace>>);

/// A network that can be run from many threads concurrently.
pub struct Network {
    graph: Graph,
    settings: Settings,
    /// The most recently used last.
    plans: Mutex<Vec<(Key, Arc<Plan>)>>,
    epilogues: Epilogues,
    idle: Arc<Workspaces>,
}

impl Network {
    /// A network of this graph, to which [`crate::graph::passes`] should have been applied. The
    /// environment variable that forces kernels is read now, and not again; those that limit the
    /// instruction set are read once for the process.
    ///
    /// # Errors
    /// [`Error::Environment`] if a variable's value is unknown, or names a missing instruction set.
    pub fn new(graph: Graph) -> Result<Self> {
        Self::sharing(graph, Arc::default())
    }

    /// The same, with workspaces that are shared with other networks.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn sharing(graph: Graph, idle: Arc<Workspaces>) -> Result<Self> {
        let (settings, plans) = (Settings::from_environment()?, Mutex::default());
        Ok(Self { graph, settings, plans, epilogues: Epilogues::default(), idle })
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The plan for inputs of these shapes.
    ///
    /// # Errors
    /// If the shapes do not fit the network, or memory for packed weights cannot be allocated.
    pub fn plan(&self, inputs: &[Shape]) -> Result<Arc<Plan>> {
        self.plan_chosen_for(inputs, inputs)
    }

    /// The plan for inputs of these shapes with the kernels that would be chosen for the larger
    /// pictures `chosen_for`. Then a part of a picture has the same bits as the whole wherever the
    /// sums are the same, away from the part's edges. Winograd's tiles are 4 rows and columns of a
    /// convolution's output (with a dilation, 4 of those that lie that far apart), so the part must
    /// begin at a multiple of 4 times stride and dilation.
    ///
    /// # Errors
    /// As [`Network::plan`]; [`Error::Input`] if a shape of `chosen_for` has another rank, other
    /// channels or a smaller size than the input.
    pub fn plan_chosen_for(&self, inputs: &[Shape], chosen_for: &[Shape]) -> Result<Arc<Plan>> {
        let _guard = threads::hold_fork();
        self.plan_for(threads::pool()?.threads(), inputs, chosen_for)
    }

    /// The same for a number of threads.
    fn plan_for(&self, threads: usize, inputs: &[Shape], chosen_for: &[Shape]) -> Result<Arc<Plan>> {
        let _guard = threads::hold_fork();
        check_chosen(inputs, chosen_for)?;
        let settings = self.settings;
        let key = Key { inputs: inputs.to_vec(), chosen_for: chosen_for.to_vec(), settings, threads };
        if let Some(plan) = self.cached(&key) {
            return Ok(plan);
        }
        // Not under the lock, so that callers with other shapes do not wait while weights are
        // packed.
        let epilogues = &self.epilogues;
        let plan = Plan::compile(&self.graph, epilogues, inputs, chosen_for, settings, threads)?;
        let plan = Arc::new(plan);
        let mut plans = lock(&self.plans);
        if let Some((_, other)) = plans.iter().find(|(k, _)| *k == key) {
            return Ok(Arc::clone(other));
        }
        if plans.len() == PLANS {
            plans.remove(0);
        }
        plans.push((key, Arc::clone(&plan)));
        Ok(plan)
    }

    fn cached(&self, key: &Key) -> Option<Arc<Plan>> {
        let mut plans = lock(&self.plans);
        let found = plans.iter().position(|(k, _)| k == key)?;
        let entry = plans.remove(found);
        let plan = Arc::clone(&entry.1);
        plans.push(entry);
        Some(plan)
    }

    /// Runs `plan` on C-contiguous arrays. `interrupted` is called about every 50 ms.
    ///
    /// # Errors
    /// As the plan's run: wrong sizes, an interrupt, a worker's panic, memory.
    pub fn run(
        &self,
        plan: &Arc<Plan>,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
        interrupted: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        self.on_pool(plan, |plan, pool, workspace| plan.run(pool, workspace, inputs, outputs, interrupted))
    }

    /// Runs `plan` `runs` times (at least once) after a warm-up run, and times its steps inside
    /// these runs; otherwise as [`Network::run`].
    ///
    /// # Errors
    /// As [`Network::run`].
    pub fn profile(
        &self,
        plan: &Arc<Plan>,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
        runs: usize,
        interrupted: &mut dyn FnMut() -> bool,
    ) -> Result<Profile> {
        self.on_pool(plan, |plan, pool, workspace| {
            plan.profile(pool, workspace, inputs, outputs, runs, interrupted)
        })
    }

    /// Runs `job` with the pool, a workspace of this network, and a plan for the pool's threads.
    fn on_pool<T>(
        &self,
        plan: &Arc<Plan>,
        job: impl FnOnce(&Plan, &Pool, &mut Workspace) -> Result<T>,
    ) -> Result<T> {
        let (pool, mut workspace) = {
            let _guard = threads::hold_fork();
            (threads::pool()?, lock(&self.idle.0).pop().unwrap_or_default())
        };
        let same_pool = pool.threads() == plan.threads;
        let result = if same_pool {
            job(plan, &pool, &mut workspace)
        } else {
            // The number of threads was changed between planning and running. It may change again
            // at any time: the plan is for the pool that this run holds, not for the newest one.
            let plan = self.plan_for(pool.threads(), &plan.inputs, &plan.chosen_for)?;
            job(&plan, &pool, &mut workspace)
        };
        let _guard = threads::hold_fork();
        let mut idle = lock(&self.idle.0);
        if idle.len() < WORKSPACES {
            idle.push(workspace);
        }
        result
    }

    /// Bytes of idle workspaces, including those of other networks that share them.
    pub fn idle_bytes(&self) -> usize {
        lock(&self.idle.0).iter().map(Workspace::size).sum()
    }
}

fn check_chosen(inputs: &[Shape], chosen_for: &[Shape]) -> Result<()> {
    let wrong = |what: String, expected: String, found: String| Err(Error::Input { what, expected, found });
    if chosen_for.len() != inputs.len() {
        let expected = format!("as many shapes as inputs ({})", inputs.len());
        return wrong("chosen_for".into(), expected, chosen_for.len().to_string());
    }
    for (i, (input, chosen)) in inputs.iter().zip(chosen_for).enumerate() {
        let same_channels = input.get(1) == chosen.get(1);
        let as_large = input.iter().zip(chosen.iter()).all(|(input, chosen)| input <= chosen);
        if input.rank() != chosen.rank() || !same_channels || !as_large {
            let expected = format!("the rank and channels of input {i}, {input}, and no smaller a size");
            return wrong(format!("chosen_for[{i}]"), expected, chosen.to_string());
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The text form of a plan.

use std::fmt;

use super::Plan;

impl fmt::Display for Plan {
    /// One line per step: node, kernel, output shape, chunks of each phase.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
        let name = width(&mut self.steps.iter().map(|s| s.name.len()));
        let kernel = width(&mut self.steps.iter().map(|s| s.kernel.name().len()));
        for step in &self.steps {
            let shape = step.output_shape.to_string();
            let chunks = step.kernel.phases();
            writeln!(f, "{:name$}  {:kernel$}  {shape:20}  {chunks:?}", step.name, step.kernel.name())?;
        }
        let mib = self.workspace_bytes() as f64 / f64::from(1 << 20);
        write!(f, "{} steps, {} threads, {mib:.1} MiB of workspace", self.steps.len(), self.threads)
    }
}

//! Operations of two operands: vocabulary that graphs and kernels share.

/// A binary operation by torch's name, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a * b
    Mul,
    /// a / b
    Div,
    /// The larger one, NaN if either is.
    Maximum,
    /// The smaller one, NaN if either is.
    Minimum,
    /// a to the power of b: 1 for b = 0 and for a = 1, NaN for a < 0 and a b that is not whole.
    Pow,
    /// 1 where a > b, else 0
    Greater,
    /// 1 where a >= b, else 0
    GreaterEqual,
    /// 1 where a < b, else 0
    Less,
    /// 1 where a <= b, else 0
    LessEqual,
    /// 1 where a = b, else 0
    Equal,
    /// 0 where a = b, else 1, which is what NaN is with anything
    NotEqual,
}

impl BinaryOp {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Maximum,
        Self::Minimum,
        Self::Pow,
        Self::Greater,
        Self::GreaterEqual,
        Self::Less,
        Self::LessEqual,
        Self::Equal,
        Self::NotEqual,
    ];

    /// Torch's name, such as `maximum`; of comparisons Python's, such as `ge`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Maximum => "maximum",
            Self::Minimum => "minimum",
            Self::Pow => "pow",
            Self::Greater => "gt",
            Self::GreaterEqual => "ge",
            Self::Less => "lt",
            Self::LessEqual => "le",
            Self::Equal => "eq",
            Self::NotEqual => "ne",
        }
    }
}

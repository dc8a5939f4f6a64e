//! What is said in the attribute.

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Token};

/// `keyspace = …, bus = …, key = …, refresh`.
pub(crate) struct Arguments {
    pub(crate) keyspace: Keyspace,
    pub(crate) key: Option<Expr>,
    /// Loads in the background where a value is to be loaded again.
    pub(crate) refresh: bool,
}

/// Where values are.
pub(crate) enum Keyspace {
    /// Of the contract, by its name.
    Named { name: LitStr, bus: Box<Expr> },
    /// One that the service has made, with options of its own.
    Made(Box<Expr>),
}

enum Argument {
    Keyspace(Expr),
    Bus(Expr),
    Key(Expr),
    Refresh,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let whole = input.span();
        let (mut keyspace, mut bus, mut key, mut refresh) = (None, None, None, false);
        for argument in Punctuated::<Argument, Token![,]>::parse_terminated(input)? {
            match argument {
                Argument::Keyspace(expression) => keyspace = Some(expression),
                Argument::Bus(expression) => bus = Some(expression),
                Argument::Key(expression) => key = Some(expression),
                Argument::Refresh => refresh = true,
            }
        }
        let keyspace = match (keyspace, bus) {
            (
                Some(Expr::Lit(ExprLit {
                    lit: Lit::Str(name),
                    ..
                })),
                Some(bus),
            ) => Keyspace::Named {
                name,
                bus: Box::new(bus),
            },
            (
                Some(Expr::Lit(ExprLit {
                    lit: Lit::Str(name),
                    ..
                })),
                None,
            ) => {
                return Err(syn::Error::new(
                    name.span(),
                    "`bus = …` has to say of which CacheBus this keyspace is",
                ));
            }
            (Some(made), None) => Keyspace::Made(Box::new(made)),
            (Some(_), Some(bus)) => {
                return Err(syn::Error::new_spanned(
                    bus,
                    "`bus` is for a keyspace that is named by a string",
                ));
            }
            (None, _) => {
                return Err(syn::Error::new(whole, "`keyspace = …` is missing"));
            }
        };
        Ok(Self {
            keyspace,
            key,
            refresh,
        })
    }
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name: Ident = input.parse()?;
        if name == "refresh" {
            return Ok(Self::Refresh);
        }
        input.parse::<Token![=]>()?;
        let value: Expr = input.parse()?;
        match name.to_string().as_str() {
            "keyspace" => Ok(Self::Keyspace(value)),
            "bus" => Ok(Self::Bus(value)),
            "key" => Ok(Self::Key(value)),
            _ => Err(syn::Error::new(
                name.span(),
                "expected `keyspace`, `bus`, `key` or `refresh`",
            )),
        }
    }
}

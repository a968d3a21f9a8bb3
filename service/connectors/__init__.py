"""Connectors: one small pure module for each tool that sends tickets, alerts and questions. See docs/connectors.md."""

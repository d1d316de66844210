"""The parts that dashboards are made of, one module a dashboard."""

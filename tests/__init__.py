"""Tests: unit and property, integration, browser."""

"""Mapping on IPUs: supersteps, products split over tiles, layers placed on chips."""

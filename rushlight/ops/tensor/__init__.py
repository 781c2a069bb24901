"""Tensors themselves: conversion, copies, storage, Python's operators."""

"""Operations on tensor objects: conversion, copies, storage and Python's operators."""

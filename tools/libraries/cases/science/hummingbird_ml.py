"""Models of scikit-learn are turned into tensor programs, which predict the same."""

requires = ["hummingbird-ml", "scikit-learn"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import numpy as np
    from hummingbird.ml import convert
    from sklearn.datasets import load_digits
    from sklearn.decomposition import PCA
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        GradientBoostingClassifier,
        IsolationForest,
        RandomForestClassifier,
        RandomForestRegressor,
    )
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    x, y = load_digits(return_X_y=True)
    x, y = x[:300].astype(np.float32), y[:300] % 3
    models = {
        "tree": DecisionTreeClassifier(max_depth=5, random_state=0),
        "forest": RandomForestClassifier(n_estimators=8, max_depth=6, random_state=0),
        "extra": ExtraTreesClassifier(n_estimators=5, max_depth=12, random_state=0),
        "boosting": GradientBoostingClassifier(n_estimators=4, random_state=0),
        # Far from convergence, or in float32, the result depends on the BLAS of scikit-learn.
        "logistic": LogisticRegression(solver="newton-cg", tol=1e-9),
        "bayes": GaussianNB(),
        "network": MLPClassifier((10,), max_iter=20, random_state=0),
        "svc": SVC(probability=False),
        "pipeline": make_pipeline(StandardScaler(), PCA(8), LogisticRegression(max_iter=50)),
        "polynomial": make_pipeline(
            MinMaxScaler(), PCA(4), PolynomialFeatures(2), LogisticRegression(max_iter=50)
        ),
    }
    results = {}
    for name, model in models.items():
        model.fit(x.astype(np.float64), y)
        converted = convert(model, "pytorch", x[:2])
        found = converted.predict(x[:60])
        results[name] = [found, (found == model.predict(x[:60])).mean()]
        if hasattr(model, "predict_proba"):
            results[name].append(converted.predict_proba(x[:20]))
    for implementation in ("gemm", "tree_trav", "perf_tree_trav"):
        options = {"tree_implementation": implementation}
        converted = convert(models["forest"], "pytorch", x[:2], extra_config=options)
        results[implementation] = converted.predict_proba(x[:20])
    regressor = RandomForestRegressor(n_estimators=4, max_depth=4, random_state=0).fit(x, y * 0.5)
    results["regressor"] = convert(regressor, "pytorch").predict(x[:20])
    results["linear"] = convert(LinearRegression().fit(x[:, :5], y), "pytorch").predict(x[:20, :5])
    forest = IsolationForest(n_estimators=5, random_state=0).fit(x)
    results["isolation"] = convert(forest, "pytorch").decision_function(x[:20])
    scripted = convert(models["tree"], "torchscript", x[:60])
    results["scripted"] = scripted.predict(x[:60])
    return results

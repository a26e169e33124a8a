"""The latents in a few classes: what each looks like, and who visits it."""

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from temporem.reconstruction.latents_file import latent_columns
from temporem.reconstruction.run import Run
from temporem.report.moving_molecule import SURFACE
from temporem.report.page import picture, section
from temporem.report.shown_movie import ShownMovie

__all__ = ["classes_section", "latent_classes"]

CLASSES = 4


def latent_classes(latents: pd.DataFrame) -> pd.DataFrame:
    """Classes by k-means in order of their place along the first principal axis, one row each.

    Columns: `image` (nearest the mean), `share` of frames, `movies` that visit it, `through`: those of them
    that visit another class too.
    """
    z = latents[latent_columns(latents)].to_numpy(np.float64)
    count = min(CLASSES, len(np.unique(z, axis=0)))
    fitted = KMeans(count, n_init=4, random_state=0).fit(z)
    axis = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)[2][0]
    order = np.argsort(fitted.cluster_centers_ @ axis)
    table = latents.assign(label=fitted.labels_)
    visits = table.groupby("movie")["label"].nunique()
    rows = []
    for label in order:
        own = np.flatnonzero(fitted.labels_ == label)
        away = np.linalg.norm(z[own] - fitted.cluster_centers_[label], axis=1)
        movies = table.iloc[own]["movie"].unique()
        rows.append(
            {
                "image": int(latents["image"].iloc[own[int(away.argmin())]]),
                "share": len(own) / len(z),
                "movies": len(movies),
                "through": int((visits[movies] > 1).sum()),
            }
        )
    return pd.DataFrame(rows)


def classes_section(run: Run, latents: pd.DataFrame, shown: ShownMovie) -> str:
    """Surfaces of the frames nearest the classes' means, as large and from the same side as the movie's."""
    classes = latent_classes(latents)
    figures = []
    for number, (image, volume) in enumerate(run.volumes(classes["image"].tolist()), start=1):
        facts = classes.iloc[number - 1]
        drawn = picture(shown.scene.draw(volume, shown.level, SURFACE, 180), f"Surface of class {number}")
        figures.append(
            f"<figure>{drawn}<figcaption><b>Class {number}</b>, {facts['share']:.0%} of frames<br>"
            f"image {image}<br>seen in {facts['movies']:.0f} movies, of which {facts['through']:.0f} leave it"
            "</figcaption></figure>"
        )
    return section(
        "Classes",
        f'<div class="strip">{"".join(figures)}</div>',
        '<p class="soft">Frames grouped by k-means of their latents, in order along the first principal '
        "axis; drawn is the frame nearest each mean. Classes of a continuous motion are places along it.</p>",
    )
